"""Legacy completions: every prompt counts, and the chat's own meter reads the stream."""

import json
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import openai_completions
from gateway.proxy.protocols.wire import Asked, Costs, Format, InvalidRequestError, Sending

FORMAT: Format = openai_completions
COSTS = Costs(cost_usd="0.1", cost_center=None, request_id="r-1")


def asked(**fields: Any) -> Asked:
    """Return a parsed request."""
    body = {"model": "m", "prompt": "hi", **fields}
    return FORMAT.parse_request(json.dumps(body).encode(), {})


@pytest.mark.parametrize(
    ("fields", "choices"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"n": 2, "best_of": 5}, 5),
        ({"prompt": ["a", "b"], "n": 2}, 4),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]], "best_of": 2}, 4),
    ],
)
def test_every_prompt_is_answered_n_times(fields: dict[str, Any], choices: int) -> None:
    assert asked(**fields).choices == choices


@pytest.mark.parametrize("prompt", [None, "", [], 7, [None], [[1], "a", 2], [[]], [True]])
def test_a_prompt_that_is_none_is_refused(prompt: Any) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        asked(prompt=prompt)

    assert refusal.value.param == "prompt"


def test_numbered_tokens_are_bounded_by_their_digits() -> None:
    size = FORMAT.size(asked(prompt=[1, 22, 333]))

    assert size.text_bytes >= 3
    assert (size.messages, size.unbounded) == (1, None)


def test_unknown_fields_make_the_call_unbounded() -> None:
    assert FORMAT.size(asked(draft_model="x")).unbounded == "draft_model"


def test_what_is_sent_has_the_limit_and_asks_for_usage() -> None:
    request = asked(stream=True, max_tokens=50, cost_center="RND", metadata={"a": "b"}, user="u")

    sent = json.loads(FORMAT.outgoing(request, Sending("m-1", max_output=20)))

    assert sent == {
        "model": "m-1",
        "prompt": "hi",
        "stream": True,
        "max_tokens": 20,
        "user": "u",
        "stream_options": {"include_usage": True},
    }
    assert FORMAT.upstream_path(request, Sending("m-1")) == "/completions"


def test_more_may_be_written_than_is_shown() -> None:
    assert FORMAT.hides_reasoning(asked(best_of=3), "m")
    assert not FORMAT.hides_reasoning(asked(n=3, best_of=3), "m")


def test_an_answer_without_a_completion_costs_its_prompt() -> None:
    seen = FORMAT.read_answer(b'{"model":"m-1","usage":{"prompt_tokens":11,"total_tokens":11}}')

    assert seen.usage == Tokens(input=11)


def test_a_stream_is_metered_and_its_end_is_held() -> None:
    first = b'data: {"model":"m-1","choices":[{"text":"He","index":0}],"usage":null}\n\n'
    last = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9}}\n\n'
    meter = FORMAT.meter(asked(stream=True, stream_options={"include_usage": True}))

    out = meter.feed(first + last + b"data: [DONE]\n\n")

    assert out == first
    assert (meter.seen.usage, meter.seen.text_bytes) == (Tokens(input=5, output=9), 2)
    assert b'"completion_tokens":9,"cost_usd":"0.1"' in meter.tail(COSTS)
