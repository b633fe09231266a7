"""Metering of OpenAI's event streams: usage read, hidden or enriched, the end held back."""

from dataclasses import replace
from typing import Any

import msgspec

from attribution.prices.tokens import OUTPUT_SIDE, Tokens
from gateway.proxy.protocols import openai_usage
from gateway.proxy.protocols.held import Held
from gateway.proxy.protocols.sse import Event, Splitter, unread
from gateway.proxy.protocols.wire import Costs, Seen

NULL_USAGE = b',"usage":null'
DONE = b"[DONE]"
NOTHING = msgspec.Raw(b"null")


class Choice(msgspec.Struct):
    """The part of a choice that is metered."""

    delta: Any = None
    text: Any = None  # legacy completions
    finish_reason: Any = None


class Chunk(msgspec.Struct):
    """The part of a chunk that is metered; all else passes unread."""

    model: Any = None
    service_tier: Any = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = NOTHING
    x_groq: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING


class GroqUsage(msgspec.Struct):
    """Groq's own member, which may hold the only usage of a stream."""

    usage: msgspec.Raw = NOTHING


_chunk = msgspec.json.Decoder(Chunk).decode
_groq = msgspec.json.Decoder(GroqUsage).decode


def utf8_length(text: str) -> int:
    """Return the bytes of `text` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def visible_bytes(message: Any) -> int:
    """Return the bytes of what a delta or message says: text, thoughts, calls of tools."""
    if not isinstance(message, dict):
        return utf8_length(message) if isinstance(message, str) else 0
    size = 0
    for name, value in message.items():
        if type(value) is str:
            if name in SPOKEN:
                size += utf8_length(value)
        elif value and name in SPOKEN:
            size += _strings(value)
    return size


def _strings(value: Any) -> int:
    """Return the bytes of all strings inside, names and marks of parts aside."""
    if isinstance(value, str):
        return utf8_length(value)
    if isinstance(value, dict):
        return sum(_strings(item) for name, item in value.items() if name not in MARKS)
    return sum(map(_strings, value)) if isinstance(value, list) else 0


SPOKEN = frozenset(
    {"content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"}
)
MARKS = frozenset({"id", "type", "index"})


class Meter:
    """Meters one stream of chat or legacy completions."""

    __slots__ = (
        *("_held", "_hides", "_is_finished", "_is_running", "_splitter"),
        *("is_complete", "seen"),
    )

    def __init__(self, *, hides_usage: bool) -> None:
        """Start; with `hides_usage` the client sees the stream without what was asked for it."""
        self.seen = Seen()
        self.is_complete = False
        self._hides = hides_usage
        self._is_finished = False  # a choice ended: what usage comes now is not a running count
        self._is_running = False  # the usage read last was one
        self._held = Held()
        self._splitter = Splitter()

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes of the upstream; return what may go out now."""
        events = self._splitter.feed(chunk)
        if len(events) == 1:
            return self._take(events[0])
        return b"".join([self._take(event) for event in events])

    def end(self) -> None:
        """Meter and hold an event that the upstream did not finish."""
        rest = self._splitter.rest()
        if rest is not None and (out := self._take(rest)):
            self._held.add(out)
        if self._is_running and not self.is_complete and self.seen.usage is not None:
            self._forget(self.seen.usage)

    def _forget(self, usage: Tokens) -> None:
        """Take a count that was still running as the beginning that it is."""
        self.seen.events = max(self.seen.events, usage.output_total)
        self.seen.partial = replace(usage, **dict.fromkeys(OUTPUT_SIDE, 0))
        self.seen.usage = None

    def tail(self, costs: Costs | None) -> bytes:
        """Return what was held, with the costs in its usage."""
        return self._held.with_costs(costs)

    def _take(self, event: Event) -> bytes:
        """Meter one event; return it, or nothing when it is held or hidden."""
        raw, data = event
        if self.is_complete:
            return b""  # nothing counts after the end mark
        if data == DONE:
            self.is_complete = True
            return self._held.add(raw)
        if data is None:  # a comment never overtakes what is held
            return self._held.after(raw) if self._held else raw
        try:
            chunk = _chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.seen.text_bytes += unread(event)
            return self._held.release() + raw  # not ours to judge; without usage it is counted
        self._meter(chunk)
        return self._pass(event, chunk)

    def _meter(self, chunk: Chunk) -> None:
        """Take what the chunk says into `seen`."""
        seen = self.seen
        if type(chunk.model) is str and chunk.model:
            seen.model = chunk.model
        if type(chunk.service_tier) is str:
            seen.service_tier = chunk.service_tier
        if chunk.choices:
            self._count(chunk.choices)
        if chunk.x_groq is not NOTHING:
            self._groq(chunk.x_groq)
        if chunk.error is not NOTHING and bytes(chunk.error) != b"null":
            seen.is_error = True

    def _count(self, choices: list[Choice]) -> None:
        """Count what choices say, and notice when one has said all."""
        size = 0
        for choice in choices:
            size += visible_bytes(choice.delta) + visible_bytes(choice.text)
            if choice.finish_reason:
                self._is_finished = True
        if size:
            self.seen.events += 1
            self.seen.text_bytes += size

    def _groq(self, raw: msgspec.Raw) -> None:
        """Read the usage that Groq puts beside the chunk."""
        try:
            openai_usage.read(_groq(raw).usage, self.seen)
        except msgspec.DecodeError:
            return  # another upstream's member of the same name

    def _pass(self, event: Event, chunk: Chunk) -> bytes:
        """Decide what becomes of an event with or without usage."""
        has_usage = chunk.usage is not NOTHING and openai_usage.read(chunk.usage, self.seen)
        if has_usage:
            self._is_running = bool(chunk.choices) and not self._is_finished
        if self._hides:
            if chunk.usage is NOTHING:
                return event[0]
            return b"" if has_usage and not chunk.choices else without_usage(event)
        if has_usage and (self._is_finished or not chunk.choices):
            before = self._held.release()  # a later event releases it, the end enriches it
            self._held.add(event[0], bytes(chunk.usage))
            return before
        if not self._held:
            return event[0]
        if not chunk.choices:  # something else about the answer, which is over
            return self._held.after(event[0])
        return self._held.release() + event[0]


def without_usage(event: Event) -> bytes:
    """Remove the usage member that was added because the gateway asked for it."""
    raw, data = event
    if raw.count(NULL_USAGE) == 1:
        # Quotes inside strings are escaped, so these bytes can only be a member.
        return raw.replace(NULL_USAGE, b"")
    body = msgspec.json.decode(data or b"")
    body.pop("usage", None)
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
