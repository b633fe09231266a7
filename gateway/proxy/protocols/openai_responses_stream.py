"""Answers of OpenAI's responses, whole and as events; the last event is held back."""

from typing import Any

import msgspec

from gateway.proxy.protocols import openai_usage
from gateway.proxy.protocols.held import Held, splice
from gateway.proxy.protocols.openai_answer import UNREADABLE
from gateway.proxy.protocols.openai_stream import utf8_length
from gateway.proxy.protocols.sse import Event, Splitter, unread
from gateway.proxy.protocols.wire import Costs, Seen

NOTHING = msgspec.Raw(b"null")
ENDS = ("response.completed", "response.incomplete", "response.failed")
# What the provider did at a fee of its own that no price list of ours holds.
FEES = ("file_search_call", "code_interpreter_call", "image_generation_call")


class Item(msgspec.Struct):
    """The part of an output item that is metered."""

    type: Any = None
    action: Any = None
    content: Any = None
    arguments: Any = None
    input: Any = None


class Answer(msgspec.Struct):
    """The part of an answer that is metered."""

    model: Any = None
    service_tier: Any = None
    usage: msgspec.Raw = NOTHING
    output: msgspec.Raw = NOTHING
    error: Any = None
    status: Any = None


class Happening(msgspec.Struct):
    """The part of an event that is metered; all else passes unread."""

    type: Any = None
    delta: Any = None
    response: msgspec.Raw = NOTHING


_answer = msgspec.json.Decoder(Answer).decode
_items = msgspec.json.Decoder(list[Item] | None).decode
_happening = msgspec.json.Decoder(Happening).decode


def read_answer(raw: bytes) -> Seen:
    """Read a complete answer."""
    seen = Seen()
    try:
        items = _take(_answer(raw), seen)
    except UNREADABLE:
        seen.text_bytes = len(raw)
        return seen
    if seen.usage is None:
        seen.text_bytes = sum(_visible(item) for item in items)
    return seen


def enrich(raw: bytes, costs: Costs) -> bytes:
    """Add the cost members to the answer's usage; every other byte stays."""
    try:
        usage = bytes(_answer(raw).usage)
    except UNREADABLE:
        return raw
    return splice(raw, usage, costs) if usage.startswith(b"{") else raw


def _take(answer: Answer, seen: Seen) -> list[Item]:
    """Take what an answer says into `seen`; return its output items."""
    if isinstance(answer.model, str) and answer.model:
        seen.model = answer.model
    if isinstance(answer.service_tier, str):
        seen.service_tier = answer.service_tier
    seen.is_error = seen.is_error or answer.error is not None or answer.status == "failed"
    openai_usage.read(answer.usage, seen, openai_usage.RESPONSES)
    items = _items(answer.output) or []
    searches = [i for i in items if i.type == "web_search_call" and _is_search(i.action)]
    seen.web_searches = max(seen.web_searches, len(searches))
    seen.is_unpriceable = seen.is_unpriceable or any(item.type in FEES for item in items)
    return items


def _is_search(action: Any) -> bool:
    """Tell whether a call of the web search searched; opening a page is free."""
    return not isinstance(action, dict) or action.get("type", "search") == "search"


def _visible(item: Item) -> int:
    """Return the bytes of what an item says."""
    parts = item.content if isinstance(item.content, list) else ()
    texts = [item.arguments, item.input, *(p.get("text") for p in parts if isinstance(p, dict))]
    return sum(utf8_length(text) for text in texts if isinstance(text, str))


class Meter:
    """Meters one stream of responses."""

    __slots__ = ("_held", "_splitter", "is_complete", "seen")

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.seen = Seen()
        self.is_complete = False
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
        """Meter one event; return it, or hold it where it is the last."""
        raw, data = event
        if self.is_complete:
            return self._held.add(raw)
        try:
            happening = _happening(data) if data is not None else Happening()
            usage = self._meter(happening)
        except UNREADABLE:
            self.seen.text_bytes += unread(event)
            return raw  # not ours to judge; without usage the call is counted
        if happening.type in ENDS:
            self.is_complete = True
            return self._held.add(raw, usage)
        return raw

    def _meter(self, happening: Happening) -> bytes:
        """Take what an event says into `seen`; return the usage object in it."""
        seen = self.seen
        if type(happening.delta) is str and happening.delta:
            seen.events += 1
            seen.text_bytes += utf8_length(happening.delta)
        elif happening.type == "error":
            seen.is_error = True
        if happening.response is NOTHING:
            return b""
        answer = _answer(happening.response)
        _take(answer, seen)
        usage = bytes(answer.usage)
        return usage if usage.startswith(b"{") else b""
