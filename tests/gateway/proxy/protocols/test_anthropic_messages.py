"""Anthropic's messages: bounds, merged usage, sub-models, the held end of a stream."""

import json
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import anthropic_messages
from gateway.proxy.protocols.wire import (
    Asked,
    Costs,
    Format,
    InvalidRequestError,
    Sending,
    SubUse,
)

FORMAT: Format = anthropic_messages
COSTS = Costs(cost_usd="0.1", cost_center="RND", request_id="r-1")
HELLO = [{"role": "user", "content": "hi"}]
STOP = b'event: message_stop\ndata: {"type":"message_stop" }\n\n'


def asked(**fields: Any) -> Asked:
    """Return a parsed request."""
    body = {"model": "m", "max_tokens": 100, "messages": HELLO, **fields}
    return FORMAT.parse_request(json.dumps(body).encode(), {})


def event(kind: str, **members: Any) -> bytes:
    """Return one event of a stream."""
    data = json.dumps({"type": kind, **members}, separators=(",", ":")).encode()
    return f"event: {kind}\ndata: ".encode() + data + b"\n\n"


def started(**usage: Any) -> bytes:
    """Return the first event of a stream."""
    counts = {"input_tokens": 10, "output_tokens": 1, "service_tier": "standard", **usage}
    return event("message_start", message={"model": "m-1", "usage": counts})


def read(**usage: Any) -> Any:
    """Read an answer with this usage."""
    counts = {"input_tokens": 10, "output_tokens": 5, **usage}
    return FORMAT.read_answer(json.dumps({"model": "m-1", "usage": counts}).encode())


SAID = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"})
PING = event("ping")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": [7]}, "messages"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"system": 7}, "system"),
        ({"tools": {}}, "tools"),
        ({"thinking": "on"}, "thinking"),
        ({"metadata": "x"}, "metadata"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        asked(**fields)

    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].max_uses"),
        ({"tools": [{"type": "advisor_20260301", "max_uses": 2}]}, "tools[0].type"),
        ({"tools": [{"type": "code_execution_20250522"}]}, "tools[0].type"),
        ({"tools": [{"type": 7}]}, "tools[0].type"),
        ({"tools": ["x"]}, "tools[0].type"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "context_management"),
        ({"mcp_servers": []}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"speed": "fast"}, "speed"),
    ],
)
def test_what_has_no_bound_is_named(fields: dict[str, Any], name: str) -> None:
    assert FORMAT.size(asked(**fields)).unbounded == name


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]},
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"thinking": {"type": "enabled", "budget_tokens": 50}, "system": [{"text": "A"}]},
    ],
)
def test_what_has_a_bound_passes(fields: dict[str, Any]) -> None:
    assert FORMAT.size(asked(**fields)).unbounded is None


def test_tools_of_the_server_are_bounded_by_their_uses() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 2}

    size = FORMAT.size(asked(tools=[search, fetch]))

    assert (size.unbounded, size.web_searches, size.rounds) == (None, 3, 6)


def test_a_cache_is_written_only_where_it_is_asked_for() -> None:
    system = [{"type": "text", "text": "A", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]

    assert "cache_write" not in FORMAT.size(asked()).input_classes
    assert "cache_write_1h" in FORMAT.size(asked(system=system)).input_classes
    assert "cache_write_1h" in FORMAT.size(asked(cache_control={"type": "x"})).input_classes


@pytest.mark.parametrize(
    ("block", "is_text"),
    [
        ({"type": "text", "text": "hi"}, True),
        ({"type": "tool_use", "input": {}}, True),
        ({"type": "tool_result", "content": "7"}, True),
        ({"type": "tool_result", "content": [{"type": "text", "text": "7"}]}, True),
        ({"type": "tool_result", "content": [{"type": "image"}]}, False),
        ({"type": "image", "source": {}}, False),
        ({"type": "document", "source": {"type": "text", "data": "A"}}, True),
        ({"type": "document", "source": {"type": "url", "url": "https://x"}}, False),
        ({"type": "web_search_tool_result", "content": []}, False),
        (7, False),
    ],
)
def test_what_is_no_text_counts_as_the_whole_window(*, block: Any, is_text: bool) -> None:
    size = FORMAT.size(asked(messages=[{"role": "user", "content": [block]}]))

    assert (size.media is None) is is_text


def test_what_is_sent_keeps_only_the_providers_own_metadata() -> None:
    request = asked(metadata={"user_id": "u", "feature": "chat"}, cost_center="RND", user="x")

    sent = json.loads(FORMAT.outgoing(request, Sending("m-1", max_output=20)))

    assert sent == {
        "model": "m-1",
        "max_tokens": 20,
        "messages": HELLO,
        "metadata": {"user_id": "u"},
    }
    assert request.attribution["metadata"]["feature"] == "chat"
    assert FORMAT.upstream_path(request, Sending("m-1")) == "/messages"


def test_the_template_is_the_system_prompt() -> None:
    assert FORMAT.system_text(asked(system="A")) == "A"
    assert FORMAT.system_text(asked(system=[{"text": "A"}, {"text": "B"}])) == "A\nB"
    assert FORMAT.system_text(asked()) == ""


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("claude-sonnet-5", {}),
        ("claude-sonnet-4-5", {"thinking": {"type": "adaptive"}}),
        ("claude-3-haiku", {"tools": [{"type": "web_search_20250305", "max_uses": 1}]}),
    ],
)
def test_unseen_thoughts_and_tools_are_known(model: str, fields: dict[str, Any]) -> None:
    assert FORMAT.hides_reasoning(asked(**fields), model)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("claude-opus-4-6", {}),
        ("claude-3-5-haiku-20241022", {"tools": [{"name": "f"}]}),
        ("claude-sonnet-5", {"thinking": {"type": "disabled"}}),
    ],
)
def test_what_is_all_visible_is_known(model: str, fields: dict[str, Any]) -> None:
    assert not FORMAT.hides_reasoning(asked(**fields), model)


def test_input_stands_without_what_was_cached() -> None:
    split = {"ephemeral_5m_input_tokens": 14, "ephemeral_1h_input_tokens": 56}

    seen = read(
        cache_read_input_tokens=30,
        cache_creation_input_tokens=70,
        cache_creation=split,
        output_tokens_details={"thinking_tokens": 2},
    )

    assert seen.usage == Tokens(10, 30, 14, 56, output=3, reasoning=2)


@pytest.mark.parametrize("split", [None, {}, {"ephemeral_5m_input_tokens": 0}])
def test_an_empty_split_makes_no_write_free(split: Any) -> None:
    seen = read(cache_creation_input_tokens=70, cache_creation=split)

    assert seen.usage == Tokens(10, cache_write=70, output=5)


def test_other_models_inside_a_call_stand_apart() -> None:
    message = {"type": "message", "input_tokens": 10, "output_tokens": 5}
    advisor = {"type": "advisor_message", "model": "m-2", "input_tokens": 9, "output_tokens": 8}
    compaction = {"type": "compaction", "input_tokens": 7, "output_tokens": 6}

    seen = read(iterations=[message, advisor, compaction, "junk", {"type": "x"}])

    assert seen.usage == Tokens(10, output=5)
    assert seen.others == (
        SubUse("m-2", Tokens(9, output=8)),
        SubUse(None, Tokens(7, output=6)),
    )


def test_searches_tier_and_region_are_read() -> None:
    seen = read(server_tool_use={"web_search_requests": 2, "web_fetch_requests": 5})

    assert (seen.web_searches, seen.service_tier, seen.is_unpriceable) == (2, None, False)
    assert read(service_tier="priority").service_tier == "priority"
    assert read(service_tier="standard", speed="fast").service_tier == "fast"
    assert read(inference_geo="us").is_unpriceable


@pytest.mark.parametrize("count", [-1, 10**10, "7", 1.5, True, None])
def test_an_absurd_count_is_missing(count: Any) -> None:
    assert read(output_tokens=count).usage is None
    assert read(input_tokens=count).usage is None


def test_an_answer_without_usage_is_counted() -> None:
    body = {"content": [{"type": "text", "text": "héh"}, {"type": "tool_use", "input": {"a": 1}}]}

    assert FORMAT.read_answer(json.dumps(body).encode()).text_bytes == 4 + len('{"a":1}')
    assert FORMAT.read_answer(b'{"type":"error","error":{}}').is_error


def test_a_stream_merges_its_counts_and_holds_its_end() -> None:
    meter = FORMAT.meter(asked(stream=True))
    begin = started(cache_read_input_tokens=30, cache_creation={"ephemeral_1h_input_tokens": 4})
    last = event(
        "message_delta",
        delta={"stop_reason": "end_turn"},
        usage={"output_tokens": 20, "input_tokens": 12, "cache_read_input_tokens": None},
    )

    out = meter.feed(begin + SAID + PING + last + STOP)

    assert (out, meter.is_complete) == (begin + SAID + PING, True)
    assert meter.seen.usage == Tokens(12, 30, cache_write_1h=4, output=20)
    assert (meter.seen.model, meter.seen.service_tier) == ("m-1", "standard")
    tail = meter.tail(COSTS)
    assert tail.endswith(STOP)
    shown = json.loads(tail.split(b"\n\n")[0].split(b"data: ")[1])["usage"]
    assert {name: shown[name] for name in COSTS.members()} == COSTS.members()


def test_more_after_a_count_releases_it_and_the_last_one_wins() -> None:
    meter = FORMAT.meter(asked(stream=True))
    first = event("message_delta", usage={"output_tokens": 3})
    second = event("message_delta", usage={"output_tokens": 9})

    assert meter.feed(started() + first + PING) == started()
    assert meter.feed(SAID) == first + PING + SAID
    meter.feed(second + STOP)

    assert meter.seen.usage == Tokens(10, output=9)
    assert meter.tail(None) == second + STOP


def test_a_cut_stream_knows_its_input() -> None:
    meter = FORMAT.meter(asked(stream=True))
    meter.feed(started(cache_read_input_tokens=30) + SAID)
    meter.end()

    assert (meter.seen.usage, meter.is_complete) == (None, False)
    assert meter.seen.partial == Tokens(10, 30)
    assert meter.seen.visible_output() == 3


def test_an_error_inside_a_stream_is_an_error() -> None:
    meter = FORMAT.meter(asked(stream=True))
    broken = event("error", error={"type": "overloaded_error", "message": "Overloaded"})

    assert meter.feed(broken) == broken
    assert meter.seen.is_error


@pytest.mark.parametrize("junk", [b": hello\n\n", b"data: {no\n\n", b"data: 5\n\n"])
def test_malformed_events_are_relayed(junk: bytes) -> None:
    meter = FORMAT.meter(asked(stream=True))

    assert meter.feed(junk + SAID) == junk + SAID
    assert meter.seen.events == 1
