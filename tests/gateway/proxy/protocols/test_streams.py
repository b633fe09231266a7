"""What holds for the stream of every wire format: any border, line end, comment, cut or lie."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import (
    anthropic_messages,
    gemini_generate,
    held,
    openai_chat,
    openai_completions,
    openai_responses,
)
from gateway.proxy.protocols.wire import Asked, Costs, Format, Meter, Seen

COSTS = Costs(cost_usd="0.1", cost_center="RND", request_id="r-1")
WRITTEN = re.compile(rb'("(?:completion_tokens|output_tokens|candidatesTokenCount)": ?)4')
WORDS = "Grüß Gott 👋🏽"  # borders inside characters


class Stream(NamedTuple):
    """A stream, event by event, and where its usage stands."""

    wire: Format
    said: list[bytes]
    ending: list[bytes]  # from the usage on
    is_array: bool = False

    @property
    def raw(self) -> bytes:
        """Return all bytes."""
        return b"".join([*self.said, *self.ending])

    def meter(self) -> Meter:
        """Return a new meter."""
        return self.wire.meter(Asked({}, "m", is_stream=True, is_array=self.is_array))


def event(data: dict[str, Any], kind: str = "") -> bytes:
    """Return an event of a stream."""
    line = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return (f"event: {kind}\n" if kind else "").encode() + f"data: {line}\n\n".encode()


def element(text: str, **members: Any) -> dict[str, Any]:
    """Return a piece of Gemini's answer."""
    candidate = {"content": {"parts": [{"text": text}]}, **members.pop("candidate", {})}
    return {"candidates": [candidate], "modelVersion": "m-1", **members}


def openai(usage: dict[str, Any], **said: Any) -> tuple[list[bytes], list[bytes]]:
    """Return the events of a chat or of a legacy completion."""
    stop = {"index": 0, "finish_reason": "stop"}
    head = {"model": "m-1"}
    events = [{**head, "choices": [{"index": 0, **said}]}, {**head, "choices": [stop]}]
    last = [event({**head, "choices": [], "usage": usage}), b"data: [DONE]\n\n"]
    return [event(one) for one in events], last


def typed(*events: dict[str, Any]) -> list[bytes]:
    """Return events that are named by their type."""
    return [event(one, one["type"]) for one in events]


READ = {"prompt_tokens": 10, "completion_tokens": 4}
THOUGHT = {"promptTokenCount": 10, "candidatesTokenCount": 4}
DONE = {"finishReason": "STOP"}
LAST = element("", candidate=DONE, usageMetadata=THOUGHT)
STREAMS = {
    "openai_chat": Stream(openai_chat, *openai(READ, delta={"content": WORDS})),
    "openai_completions": Stream(openai_completions, *openai(READ, text=WORDS)),
    "openai_responses": Stream(
        openai_responses,
        typed({"type": "response.output_text.delta", "delta": WORDS}),
        typed(
            {
                "type": "response.completed",
                "response": {"model": "m-1", "usage": {"input_tokens": 10, "output_tokens": 4}},
            }
        ),
    ),
    "anthropic_messages": Stream(
        anthropic_messages,
        typed(
            {
                "type": "message_start",
                "message": {"model": "m-1", "usage": {"input_tokens": 10, "output_tokens": 1}},
            },
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": WORDS}},
        ),
        typed({"type": "message_delta", "usage": {"output_tokens": 4}}, {"type": "message_stop"}),
    ),
    "gemini_generate": Stream(gemini_generate, [event(element(WORDS))], [event(LAST)]),
    "gemini_array": Stream(
        gemini_generate,
        [b"[", json.dumps(element(WORDS), ensure_ascii=False).encode()],
        [b",\r\n" + json.dumps(LAST).encode(), b"]"],
        is_array=True,
    ),
}
EVENTS = [name for name, stream in STREAMS.items() if not stream.is_array]
every_stream = pytest.mark.parametrize("name", STREAMS)
every_event_stream = pytest.mark.parametrize("name", EVENTS)


def run(stream: Stream, chunks: Iterator[bytes] | list[bytes]) -> tuple[bytes, Meter]:
    """Feed chunks to their end; return what went out before the settle."""
    meter = stream.meter()
    out = b"".join([meter.feed(chunk) for chunk in chunks])
    meter.end()
    return out, meter


def lied(stream: Stream, count: Any) -> Stream:
    """Return the stream with another count of what was written."""
    told = rb"\g<1> " + json.dumps(count).encode()
    return stream._replace(ending=[WRITTEN.sub(told, part) for part in stream.ending])


@every_stream
def test_its_end_waits_and_carries_the_costs(name: str) -> None:
    stream = STREAMS[name]

    out, meter = run(stream, [*stream.said, *stream.ending])

    assert out == b"".join(stream.said)
    assert meter.is_complete
    assert meter.seen.usage == Tokens(input=10, output=4)
    assert (meter.seen.model, meter.seen.text_bytes) == ("m-1", len(WORDS.encode()))
    tail = meter.tail(COSTS)
    assert tail.count(b'"cost_usd":"0.1"') == 1
    assert json.dumps(COSTS.members(), separators=(",", ":")).encode()[1:-1] in tail


@every_stream
def test_no_border_changes_what_is_seen_or_sent(name: str) -> None:
    stream = STREAMS[name]
    whole, meter = run(stream, [stream.raw])
    expected = (whole + meter.tail(COSTS), meter.seen)

    for place in range(1, len(stream.raw)):
        out, meter = run(stream, [stream.raw[:place], stream.raw[place:]])
        assert (out + meter.tail(COSTS), meter.seen) == expected, place
    out, meter = run(stream, [stream.raw[i : i + 1] for i in range(len(stream.raw))])
    assert (out + meter.tail(COSTS), meter.seen) == expected


@every_stream
def test_a_cut_at_any_byte_loses_nothing_and_invents_nothing(name: str) -> None:
    stream = STREAMS[name]

    for place in range(len(stream.raw)):
        out, meter = run(stream, [stream.raw[:place]])
        assert out + meter.tail(None) == stream.raw[:place]
        assert meter.seen.usage in {None, Tokens(input=10, output=4)}
        assert meter.seen.text_bytes <= len(WORDS.encode())
        assert place >= len(b"".join(stream.said)) or meter.seen.usage is None


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
@every_event_stream
def test_line_ends_of_all_kinds_are_understood_and_kept(name: str, line_end: bytes) -> None:
    stream = STREAMS[name]
    raw = stream.raw.replace(b"\n", line_end)

    out, meter = run(stream, [raw[i : i + 7] for i in range(0, len(raw), 7)])

    assert meter.seen.usage == Tokens(input=10, output=4)
    assert out + meter.tail(None) == raw


@every_event_stream
def test_comments_pass_and_change_nothing(name: str) -> None:
    stream, comment = STREAMS[name], b": keep-alive\n\n"
    parts = [part for one in (*stream.said, *stream.ending[:1]) for part in (comment, one)]

    out, meter = run(stream, [*parts, comment, *stream.ending[1:]])

    assert out.count(comment) == len(stream.said) + 1
    assert meter.seen.usage == Tokens(input=10, output=4)
    tail = meter.tail(COSTS)
    assert (tail.count(comment), tail.count(b"cost_usd")) == (1, 1)


@every_stream
def test_without_usage_what_was_seen_is_counted(name: str) -> None:
    stream = STREAMS[name]

    _, meter = run(stream, stream.said)

    assert meter.seen.usage is None
    assert meter.seen.visible_output() >= len(WORDS.encode()) // 2


@pytest.mark.parametrize("count", [-1, 10**9 + 1, "4", 4.5, True, None, [4]])
@every_stream
def test_an_absurd_count_is_none(name: str, count: Any) -> None:
    stream = lied(STREAMS[name], count)

    out, meter = run(stream, [stream.raw])

    assert meter.seen.usage is None
    assert out + meter.tail(None) == stream.raw


@every_event_stream
def test_of_two_usages_the_last_one_counts_once(name: str) -> None:
    stream = STREAMS[name]
    again = lied(stream, 9).ending[0]

    out, meter = run(stream, [*stream.said, stream.ending[0], again, *stream.ending[1:]])

    if meter.seen.usage != Tokens(input=10, output=4):  # responses: nothing counts after the end
        assert meter.seen.usage == Tokens(input=10, output=9)
        assert out == b"".join([*stream.said, stream.ending[0]])
    assert meter.tail(COSTS).count(b"cost_usd") == 1


@every_event_stream
def test_an_error_inside_is_an_error_and_passes(name: str) -> None:
    stream = STREAMS[name]
    error = event({"type": "error", "error": {"message": "overloaded"}}, "error")

    out, meter = run(stream, [*stream.said, error])

    assert meter.seen.is_error
    assert meter.seen.usage is None
    assert out + meter.tail(None) == b"".join(stream.said) + error


@every_event_stream
def test_what_never_ends_is_not_held_for_ever(name: str) -> None:
    stream, quiet = STREAMS[name], b": " + b"x" * 1000 + b"\n\n"
    meter = stream.meter()
    sent = [*stream.said, stream.ending[0]]
    out = b"".join([meter.feed(part) for part in sent])
    if meter.is_complete:
        return  # the pump reads no further

    out += b"".join([meter.feed(quiet) for _ in range(100)])

    assert len(b"".join(sent) + quiet * 100) - len(out) <= held.MOST


def test_a_new_meter_has_seen_nothing() -> None:
    assert all(stream.meter().seen == Seen() for stream in STREAMS.values())
