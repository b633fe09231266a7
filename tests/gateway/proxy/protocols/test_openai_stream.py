"""Streams whose usage runs along, or whose events cannot be read."""

import json
from typing import Any

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols.openai_stream import DONE, Meter


def event(text: str, written: int, *, reason: str | None = None) -> bytes:
    """Return a chunk that states the usage so far."""
    body: dict[str, Any] = {
        "choices": [{"delta": {"content": text}, "finish_reason": reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": written},
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def metered(*parts: bytes) -> Meter:
    """Read a stream to its end."""
    meter = Meter(hides_usage=False)
    for part in parts:
        meter.feed(part)
    meter.end()
    return meter


def test_a_running_count_is_no_usage_when_the_stream_is_cut() -> None:
    seen = metered(event("a", 7), event("b", 9)).seen

    assert seen.usage is None
    assert seen.partial == Tokens(input=10)
    assert seen.visible_output() == 9


def test_a_running_count_is_not_held() -> None:
    meter, parts = Meter(hides_usage=False), [event("a", 7), event("b", 9)]

    assert [meter.feed(part) for part in parts] == parts


def test_the_last_running_count_is_the_usage_of_a_whole_stream() -> None:
    ended = metered(event("a", 7), event("b", 9, reason="stop"))
    marked = metered(event("a", 7), event("b", 9), b"data: " + DONE + b"\n\n")

    assert ended.seen.usage == marked.seen.usage == Tokens(input=10, output=9)


def test_what_cannot_be_read_counts_by_its_bytes() -> None:
    assert metered(b"data: {]" + b"x" * 98 + b"\n\n").seen.visible_output() == 50
