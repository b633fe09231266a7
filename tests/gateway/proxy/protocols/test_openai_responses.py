"""Responses: what is asked and bounded, and what the last event of a stream says."""

import json
from decimal import Decimal
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import openai_responses
from gateway.proxy.protocols.wire import Asked, Costs, Format, InvalidRequestError, Sending

FORMAT: Format = openai_responses
COSTS = Costs(cost_usd="0.1", cost_center="RND", request_id="r-1")
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 130,
}
SEARCH = {"type": "web_search_call", "action": {"type": "search"}}


def asked(**fields: Any) -> Asked:
    """Return a parsed request."""
    return FORMAT.parse_request(json.dumps({"model": "m", "input": "hi", **fields}).encode(), {})


def event(kind: str, **members: Any) -> bytes:
    """Return one event of a stream."""
    data = json.dumps({"type": kind, **members}, separators=(",", ":")).encode()
    return f"event: {kind}\ndata: ".encode() + data + b"\n\n"


def ended(kind: str = "response.completed", **members: Any) -> bytes:
    """Return the last event of a stream."""
    return event(kind, response={"model": "m-1", "service_tier": "flex", "usage": USAGE, **members})


def test_a_request_says_what_it_asks() -> None:
    request = asked(stream=True, max_output_tokens=7, metadata={"feature": "chat"}, user="u")

    assert (request.is_stream, request.max_output, request.wants_usage) == (True, 7, True)
    assert request.attribution == {"metadata": {"feature": "chat"}, "user": "u"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": []}, "input"),
        ({"model": 7}, "model"),
        ({"tools": {}}, "tools"),
        ({"reasoning": "high"}, "reasoning"),
        ({"stream": 1}, "stream"),
        ({"background": "yes"}, "background"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_tool_calls": 10**6}, "max_tool_calls"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        asked(**fields)

    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}, {"type": "mcp"}]}, "tools[1].type"),
        ({"tools": [{"type": ["web_search"]}]}, "tools[0].type"),
        ({"tools": ["web_search"]}, "tools[0].type"),
        ({"tools": [{"type": "file_search"}], "max_tool_calls": 3}, "tools[0].type"),
        ({"moderation": {}}, "moderation"),
    ],
)
def test_what_has_no_bound_is_named(fields: dict[str, Any], name: str) -> None:
    assert FORMAT.size(asked(**fields)).unbounded == name


@pytest.mark.parametrize(
    "fields",
    [
        {"background": False, "previous_response_id": None},
        {"tools": [{"type": "function", "name": "f"}, {"type": "local_shell"}]},
        {"tools": [{"type": "web_search"}], "max_tool_calls": 3},
    ],
)
def test_what_has_a_bound_passes(fields: dict[str, Any]) -> None:
    assert FORMAT.size(asked(**fields)).unbounded is None


def test_searches_are_bounded_by_their_declared_maximum() -> None:
    size = FORMAT.size(asked(tools=[{"type": "web_search"}], max_tool_calls=3))

    assert (size.web_searches, size.rounds) == (3, 4)


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({"role": "user", "content": "hi"}, None),
        ({"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, None),
        ({"type": "function_call_output", "call_id": "c", "output": "7"}, None),
        ({"type": "item_reference", "id": "msg_1"}, "input[0]"),
        ({"role": "user", "content": [{"type": "input_image"}]}, "input[0].content"),
        ({"type": "function_call_output", "output": [{"type": "input_file"}]}, "input[0].output"),
        ("hi", "input[0]"),
        ({"type": {}}, "input[0]"),
    ],
)
def test_what_is_no_text_counts_as_the_whole_window(item: Any, place: str | None) -> None:
    assert FORMAT.size(asked(input=[item])).media == place


def test_what_is_sent_has_our_limit_and_none_of_our_fields() -> None:
    request = asked(cost_center="RND", metadata={"a": "b"}, max_output_tokens=50)

    sent = json.loads(FORMAT.outgoing(request, Sending("m-1", max_output=20)))

    assert sent == {
        "model": "m-1",
        "input": "hi",
        "metadata": {"a": "b"},
        "max_output_tokens": 20,
    }
    assert FORMAT.upstream_path(request, Sending("m-1")) == "/responses"


def test_the_template_is_the_instructions_and_system_messages() -> None:
    items = [{"role": "developer", "content": "B"}, {"role": "user", "content": "C"}]

    assert FORMAT.system_text(asked(instructions="A", input=items)) == "A\nB"


@pytest.mark.parametrize(
    ("model", "fields"),
    [("o4-mini", {}), ("gpt-4o", {"tools": [{"type": "web_search"}]})],
)
def test_unseen_thoughts_and_tools_are_known(model: str, fields: dict[str, Any]) -> None:
    assert FORMAT.hides_reasoning(asked(**fields), model)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("gpt-4o", {"tools": [{"type": "function"}]}),
        ("gpt-5.2", {"reasoning": {"effort": "none"}}),
    ],
)
def test_what_is_all_visible_is_known(model: str, fields: dict[str, Any]) -> None:
    assert not FORMAT.hides_reasoning(asked(**fields), model)


def test_usage_becomes_disjoint_classes() -> None:
    body = {"model": "m-1", "service_tier": "priority", "status": "completed", "usage": USAGE}

    seen = FORMAT.read_answer(json.dumps(body).encode())

    assert seen.usage == Tokens(input=50, cache_read=40, cache_write=10, output=10, reasoning=20)
    assert (seen.model, seen.service_tier, seen.is_error) == ("m-1", "priority", False)


def test_only_searches_are_charged_by_the_call() -> None:
    opened = {"type": "web_search_call", "action": {"type": "open_page"}}
    body = {"usage": USAGE, "output": [SEARCH, opened, SEARCH, {"type": "message"}]}

    assert FORMAT.read_answer(json.dumps(body).encode()).web_searches == 2


def test_a_fee_that_nobody_knows_leaves_the_call_without_a_cost() -> None:
    body = {"usage": USAGE, "output": [{"type": "file_search_call"}]}

    assert FORMAT.read_answer(json.dumps(body).encode()).is_unpriceable


def test_the_charge_that_a_provider_states_is_read_in_ticks() -> None:
    body = {"usage": {**USAGE, "cost_in_usd_ticks": 6709000}}

    assert FORMAT.read_answer(json.dumps(body).encode()).cost == Decimal("0.0006709")


def test_an_answer_without_usage_is_counted() -> None:
    body = {"output": [{"type": "message", "content": [{"type": "output_text", "text": "héh"}]}]}

    seen = FORMAT.read_answer(json.dumps(body).encode())

    assert (seen.usage, seen.text_bytes) == (None, 4)
    assert FORMAT.read_answer(b"{nonsense").visible_output() == 5


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_the_last_event_is_held_and_carries_the_costs(kind: str) -> None:
    meter = FORMAT.meter(asked(stream=True))
    begun = event("response.created", response={"model": "m-1", "usage": None})
    said = event("response.output_text.delta", delta="Hello")

    out = meter.feed(begun + said + ended(kind, output=[SEARCH]))

    assert (out, meter.is_complete) == (begun + said, True)
    assert (meter.seen.events, meter.seen.text_bytes, meter.seen.web_searches) == (1, 5, 1)
    assert meter.seen.usage is not None
    assert (meter.seen.usage.total, meter.seen.service_tier) == (130, "flex")
    shown = json.loads(meter.tail(COSTS).split(b"data: ")[1])
    assert shown["response"]["usage"] == {**USAGE, **COSTS.members()}


@pytest.mark.parametrize(
    "broken",
    [
        event("error", code="server_error", message="no"),
        event("response.failed", response={"error": {"code": "server_error"}, "usage": None}),
    ],
)
def test_an_error_inside_a_stream_is_an_error(broken: bytes) -> None:
    meter = FORMAT.meter(asked(stream=True))

    assert meter.feed(broken) + meter.tail(COSTS) == broken
    assert (meter.seen.is_error, meter.seen.usage) == (True, None)


def test_a_cut_stream_has_no_usage_and_loses_no_byte() -> None:
    meter = FORMAT.meter(asked(stream=True))
    said, half = event("response.output_text.delta", delta="Hello"), ended()[:50]

    out = meter.feed(said + half)
    meter.end()

    assert (out, meter.tail(None)) == (said, half)
    assert (meter.is_complete, meter.seen.usage) == (False, None)


@pytest.mark.parametrize(
    "junk", [b": hello\n\n", b"data: {no\n\n", b"data: 5\n\n", b"data: [DONE]\n\n"]
)
def test_malformed_events_are_relayed(junk: bytes) -> None:
    meter = FORMAT.meter(asked(stream=True))

    assert meter.feed(junk) == junk
