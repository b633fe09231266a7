"""Counting tokens at Gemini: free, and of our model."""

import json

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import gemini_count_tokens
from gateway.proxy.protocols.wire import Format, Sending

COUNTING: Format = gemini_count_tokens
HELLO = [{"role": "user", "parts": [{"text": "hi"}]}]


def test_counting_tokens_is_free() -> None:
    inner = {"model": "models/dear", "contents": HELLO}
    request = COUNTING.parse_request(
        json.dumps({"generateContentRequest": inner, "cost_center": "RND"}).encode(), {"model": "m"}
    )

    assert (request.is_free, request.max_output) == (True, 0)
    sent = json.loads(COUNTING.outgoing(request, Sending("m-1")))
    assert sent == {"generateContentRequest": {"model": "models/m-1", "contents": HELLO}}
    assert COUNTING.upstream_path(request, Sending("m-1")) == "/models/m-1:countTokens"
    assert COUNTING.read_answer(b'{"totalTokens":7}').usage == Tokens()
