"""Embeddings: input alone is bounded and paid."""

import json
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.bound import Limits, bound
from gateway.proxy.protocols import openai_embeddings
from gateway.proxy.protocols.wire import Asked, Costs, Format, InvalidRequestError, Sending

FORMAT: Format = openai_embeddings


def asked(**fields: Any) -> Asked:
    """Return a parsed request."""
    return FORMAT.parse_request(json.dumps({"model": "m", "input": "hi", **fields}).encode(), {})


def test_nothing_is_written_so_a_bound_needs_no_limit() -> None:
    request = asked(input=["a", "b"])

    bounded = bound(request, FORMAT.size(request), Limits())

    assert (bounded.output_tokens, bounded.output_classes, bounded.unbounded) == (0, (), None)
    assert bounded.input_tokens >= 2


@pytest.mark.parametrize("value", [None, "", [], {}, [{}], ["a"] * 2049])
def test_an_input_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequestError):
        asked(input=value)


def test_our_fields_stay_here() -> None:
    request = asked(cost_center="RND", metadata={"a": "b"}, dimensions=8, user="u")

    sent = json.loads(FORMAT.outgoing(request, Sending("m-1", max_output=0)))

    assert sent == {"model": "m-1", "input": "hi", "dimensions": 8, "user": "u"}
    assert request.attribution["cost_center"] == "RND"


def test_usage_without_a_completion_is_complete() -> None:
    body = (
        b'{"data":[{"embedding":[0.1]}],"model":"m-1","usage":{"prompt_tokens":4,"total_tokens":4}}'
    )

    seen = FORMAT.read_answer(body)

    assert (seen.usage, seen.model) == (Tokens(input=4), "m-1")
    assert json.loads(FORMAT.enrich(body, Costs("0.1", "RND", "r-1")))["usage"]["cost_usd"] == "0.1"


def test_a_long_row_of_numbers_is_no_output() -> None:
    seen = FORMAT.read_answer(b'{"data":[{"embedding":[' + b"0.123," * 1000)

    assert (seen.usage, seen.visible_output()) == (None, 0)
