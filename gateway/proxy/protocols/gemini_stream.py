"""Answers of Gemini, whole, as events and as one array; the last of them is held back."""

from typing import Any

import msgspec

from gateway.proxy.protocols import gemini_array, gemini_usage, sse
from gateway.proxy.protocols.counts import decode
from gateway.proxy.protocols.held import Held, splice
from gateway.proxy.protocols.openai_answer import UNREADABLE
from gateway.proxy.protocols.openai_stream import utf8_length
from gateway.proxy.protocols.sse import Event, unread
from gateway.proxy.protocols.wire import Costs, Seen

NOTHING = msgspec.Raw(b"null")
USAGE = b"usageMetadata"


class Candidate(msgspec.Struct):
    """The part of a candidate that is metered."""

    content: Any = None
    finish: Any = msgspec.field(name="finishReason", default=None)


class Answer(msgspec.Struct):
    """The part of an answer or of one piece of a stream that is metered."""

    candidates: list[Candidate] | None = None
    usage: msgspec.Raw = msgspec.field(name="usageMetadata", default=NOTHING)
    model: Any = msgspec.field(name="modelVersion", default=None)
    feedback: Any = msgspec.field(name="promptFeedback", default=None)
    error: msgspec.Raw = NOTHING


_answer = msgspec.json.Decoder(Answer).decode


def read_answer(raw: bytes) -> Seen:
    """Read a complete answer."""
    seen = Seen()
    try:
        answer = _answer(raw)
        usage = decode(answer.usage)
    except UNREADABLE:
        seen.text_bytes = len(raw)
        return seen
    _take(answer, seen)
    seen.events = 0
    if isinstance(usage, dict):
        gemini_usage.take(usage, seen, is_final=True)
    return seen


def enrich(raw: bytes, costs: Costs) -> bytes:
    """Add the cost members to the answer's usage; every other byte stays."""
    try:
        usage = bytes(_answer(raw).usage)
    except UNREADABLE:
        return raw
    return splice(raw, usage, costs, USAGE) if usage.startswith(b"{") else raw


def _take(answer: Answer, seen: Seen) -> bool:
    """Take all but the usage into `seen`; True when this ends what the model has to say."""
    if isinstance(answer.model, str) and answer.model:
        seen.model = answer.model.removeprefix("models/")
    seen.is_error = seen.is_error or bytes(answer.error) != b"null"
    candidates = answer.candidates or []
    if size := sum(_visible(candidate.content) for candidate in candidates):
        seen.events += 1
        seen.text_bytes += size
    blocked = isinstance(answer.feedback, dict) and bool(answer.feedback.get("blockReason"))
    return blocked or any(candidate.finish for candidate in candidates)


def _visible(content: Any) -> int:
    """Return the bytes of what a content says: text, thoughts, calls of functions."""
    parts = content.get("parts") if isinstance(content, dict) else None
    size = 0
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            text, called = part.get("text"), part.get("functionCall")
            size += utf8_length(text) if isinstance(text, str) else 0
            size += len(msgspec.json.encode(called)) if called else 0
    return size


class Meter:
    """Meters one stream: events, or the elements of an array."""

    __slots__ = ("_held", "_is_finished", "_splitter", "_usage", "is_complete", "seen")

    def __init__(self, *, is_array: bool) -> None:
        """Start with nothing seen."""
        self.seen = Seen()
        self.is_complete = False
        self._is_finished = False
        self._usage = b""  # the last usage object, read when it is needed
        self._held = Held(USAGE)
        self._splitter = gemini_array.Splitter() if is_array else sse.Splitter()

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes of the upstream; return what may go out now."""
        out = b"".join([self._pass(event) for event in self._splitter.feed(chunk)])
        if isinstance(self._splitter, gemini_array.Splitter) and self._splitter.is_closed:
            self.is_complete = True
        return out

    def end(self) -> None:
        """Meter and hold what the upstream did not finish; events have no other end mark."""
        rest = self._splitter.rest()
        if rest is not None and (out := self._pass(rest)):
            self._held.add(out)
        self._learn()
        self.is_complete = self.is_complete or self._is_finished

    def tail(self, costs: Costs | None) -> bytes:
        """Return what was held, with the costs in its usage."""
        return self._held.with_costs(costs)

    def _pass(self, event: Event) -> bytes:
        """Meter one piece; return it with what it releases, or hold it."""
        raw, data = event
        if data is None:
            if raw.rstrip().endswith(b"]"):
                return self._held.add(raw)
            return self._held.after(raw) if self._held else raw
        try:
            answer = _answer(data)
            usage = self._meter(answer)
        except UNREADABLE:
            self.seen.text_bytes += unread(event)
            return self._held.release() + raw  # not ours to judge; without usage it is counted
        before = self._held.release()
        if not self._is_finished:
            return before + raw
        self._held.add(raw, usage)
        return before

    def _meter(self, answer: Answer) -> bytes:
        """Take what a piece says into `seen`; return the usage object in it."""
        self._is_finished = _take(answer, self.seen) or self._is_finished
        usage = bytes(answer.usage)
        if not usage.startswith(b"{"):
            usage = b""
        self._usage = usage or self._usage
        if self._is_finished:
            self._learn()
        return usage

    def _learn(self) -> None:
        """Take the last usage object into `seen`."""
        usage = decode(self._usage) if self._usage else {}
        gemini_usage.take(usage, self.seen, is_final=self._is_finished)
