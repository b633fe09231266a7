"""Counting tokens at Anthropic: free, whatever the request would have cost."""

import json

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import anthropic_count_tokens
from gateway.proxy.protocols.wire import Costs, Format, Sending

COUNTING: Format = anthropic_count_tokens
COSTS = Costs(cost_usd="0.1", cost_center="RND", request_id="r-1")
HELLO = [{"role": "user", "content": "hi"}]


def test_counting_tokens_is_free_and_sends_no_limit() -> None:
    body = {"model": "m", "messages": HELLO, "stream": True, "metadata": {"user_id": "u"}}
    request = COUNTING.parse_request(json.dumps(body).encode(), {})

    assert (request.is_free, request.is_stream, request.max_output) == (True, False, 0)
    assert json.loads(COUNTING.outgoing(request, Sending("m-1"))) == {
        "model": "m-1",
        "messages": HELLO,
    }
    assert COUNTING.upstream_path(request, Sending("m-1")) == "/messages/count_tokens"
    assert COUNTING.read_answer(b'{"input_tokens":7}').usage == Tokens()
    assert COUNTING.enrich(b'{"input_tokens":7}', COSTS) == b'{"input_tokens":7}'
    assert COUNTING.size(request).input_classes == ()
