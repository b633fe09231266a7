"""Complete answers of chat, legacy completions and embeddings: read, and enriched with costs."""

from typing import Any

import msgspec

from gateway.proxy.protocols import openai_usage
from gateway.proxy.protocols.held import splice
from gateway.proxy.protocols.openai_stream import visible_bytes
from gateway.proxy.protocols.wire import Costs, Seen


class Answer(msgspec.Struct):
    """The part of an answer that is metered."""

    model: Any = None
    service_tier: Any = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    choices: msgspec.Raw = msgspec.Raw(b"null")
    error: Any = None


_answer = msgspec.json.Decoder(Answer).decode
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


def read_answer(raw: bytes) -> Seen:
    """Read a complete answer."""
    seen = Seen()
    try:
        answer = _answer(raw)
        openai_usage.read(answer.usage, seen)
        if seen.usage is None:
            _count_visible(answer.choices, seen)
    except UNREADABLE:
        seen.text_bytes = len(raw)
        return seen
    seen.model = answer.model if isinstance(answer.model, str) and answer.model else None
    if isinstance(answer.service_tier, str):
        seen.service_tier = answer.service_tier
    seen.is_error = answer.error is not None
    return seen


def _count_visible(raw: msgspec.Raw, seen: Seen) -> None:
    """Measure the visible output of an answer that states no usage."""
    choices = msgspec.json.decode(raw)
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            seen.text_bytes += visible_bytes(choice.get("message") or choice.get("text"))


def enrich(raw: bytes, costs: Costs) -> bytes:
    """Add the cost members to the answer's usage; every other byte stays."""
    try:
        usage = bytes(_answer(raw).usage)
    except UNREADABLE:
        return raw
    return splice(raw, usage, costs) if usage.startswith(b"{") else raw
