"""Answers of Anthropic's messages, whole and as events; the last events are held back."""

from typing import Any

import msgspec

from gateway.proxy.protocols import anthropic_usage
from gateway.proxy.protocols.counts import decode
from gateway.proxy.protocols.held import Held, splice
from gateway.proxy.protocols.openai_answer import UNREADABLE
from gateway.proxy.protocols.openai_stream import utf8_length
from gateway.proxy.protocols.sse import Event, Splitter, unread
from gateway.proxy.protocols.wire import Costs, Json, Seen

NOTHING = msgspec.Raw(b"null")
SPOKEN = ("text", "thinking", "partial_json")  # in a delta and in a block
STOP = "message_stop"
QUIET = ("ping", STOP)  # do not release what is held


class Answer(msgspec.Struct):
    """The part of an answer, or of a stream's first event, that is metered."""

    type: Any = None
    model: Any = None
    usage: msgspec.Raw = NOTHING
    content: Any = None


class Happening(msgspec.Struct):
    """The part of an event that is metered; all else passes unread."""

    type: Any = None
    message: Answer | None = None
    delta: Any = None
    usage: msgspec.Raw = NOTHING


_answer = msgspec.json.Decoder(Answer).decode
_happening = msgspec.json.Decoder(Happening).decode


def read_answer(raw: bytes) -> Seen:
    """Read a complete answer."""
    seen = Seen()
    try:
        answer = _answer(raw)
        _name(answer, seen)
        anthropic_usage.take(_usage(answer.usage), seen, is_final=True)
    except UNREADABLE:
        seen.text_bytes = len(raw)
        return seen
    if seen.usage is None and isinstance(answer.content, list):
        seen.text_bytes = sum(_visible(block) for block in answer.content)
    seen.is_error = answer.type == "error"
    return seen


def enrich(raw: bytes, costs: Costs) -> bytes:
    """Add the cost members to the answer's usage; every other byte stays."""
    try:
        usage = bytes(_answer(raw).usage)
    except UNREADABLE:
        return raw
    return splice(raw, usage, costs) if usage.startswith(b"{") else raw


def _name(answer: Answer, seen: Seen) -> None:
    """Take the billed model."""
    if isinstance(answer.model, str) and answer.model:
        seen.model = answer.model


def _usage(raw: msgspec.Raw) -> Json:
    """Return a usage object; empty where there is none."""
    return anthropic_usage.merge({}, decode(raw))


def _visible(block: Any) -> int:
    """Return the bytes of what a block or delta says: text, thoughts, calls of tools."""
    if not isinstance(block, dict):
        return 0
    size = sum(utf8_length(block[n]) for n in SPOKEN if isinstance(block.get(n), str))
    called = block.get("input")
    return size + (len(msgspec.json.encode(called)) if called else 0)


class Meter:
    """Meters one stream of messages."""

    __slots__ = ("_held", "_known", "_splitter", "is_complete", "seen")

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.seen = Seen()
        self.is_complete = False
        self._known: Json = {}  # the last value that is not null, per field
        self._held = Held()
        self._splitter = Splitter()

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes of the upstream; return what may go out now."""
        return b"".join([self._pass(event) for event in self._splitter.feed(chunk)])

    def end(self) -> None:
        """Meter and hold an event that the upstream did not finish."""
        rest = self._splitter.rest()
        if rest is not None and (out := self._pass(rest)):
            self._held.add(out)

    def tail(self, costs: Costs | None) -> bytes:
        """Return what was held, with the costs in its usage."""
        return self._held.with_costs(costs)

    def _pass(self, event: Event) -> bytes:
        """Meter one event; return it with what it releases, or hold it."""
        raw, data = event
        if self.is_complete or data is None:
            return self._quiet(raw)
        try:
            happening = _happening(data)
            usage = self._meter(happening)
        except UNREADABLE:
            self.seen.text_bytes += unread(event)
            return self._held.release() + raw  # not ours to judge; without usage it is counted
        if usage:
            return self._held.release() + self._held.add(raw, usage)
        if happening.type not in QUIET:
            return self._held.release() + raw if self._held else raw
        self.is_complete = happening.type == STOP
        return self._quiet(raw)

    def _quiet(self, raw: bytes) -> bytes:
        """Hold the end, and what says nothing between it and the last usage."""
        if self.is_complete:
            return self._held.add(raw)
        return self._held.after(raw) if self._held else raw

    def _meter(self, happening: Happening) -> bytes:
        """Take what an event says into `seen`; return the final usage object in it."""
        seen, kind = self.seen, happening.type
        if kind == "content_block_delta":
            if size := _visible(happening.delta):
                seen.events += 1
                seen.text_bytes += size
        elif kind == "message_start" and happening.message is not None:
            _name(happening.message, seen)
            self._learn(happening.message.usage)
        elif kind == "message_delta" and bytes(happening.usage).startswith(b"{"):
            self._learn(happening.usage, ends=True)
            return bytes(happening.usage)
        elif kind == "error":
            seen.is_error = True
        return b""

    def _learn(self, raw: msgspec.Raw, *, ends: bool = False) -> None:
        """Merge a usage object into what is known; an end that counts no output is none."""
        usage = decode(raw)
        self._known = anthropic_usage.merge(self._known, usage)
        is_final = ends and usage.get("output_tokens") is not None
        anthropic_usage.take(self._known, self.seen, is_final=is_final)
