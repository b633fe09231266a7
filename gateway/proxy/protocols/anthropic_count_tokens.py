"""Anthropic's counting of tokens: `POST /v1/messages/count_tokens`, free of charge."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import anthropic_messages, fields
from gateway.proxy.protocols.anthropic_stream import Meter
from gateway.proxy.protocols.wire import Asked, Costs, Dialect, Seen, Sending, Size

NAME: Final = "anthropic_count_tokens"
DIALECT: Final[Dialect] = "anthropic"

system_text = anthropic_messages.system_text


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly; nothing is read or written for money."""
    asked = anthropic_messages.parse_request(raw, path)
    return replace(asked, is_stream=False, max_output=0, is_free=True)


def size(asked: Asked) -> Size:
    """Say that this call costs nothing."""
    return Size(text_bytes=0, messages=0, tools=0, input_classes=(), output_classes=())


def hides_reasoning(asked: Asked, model: str) -> bool:
    """Tell that nothing is thought."""
    return False


def upstream_path(asked: Asked, sending: Sending) -> str:
    """Return the path under the upstream's base."""
    return "/messages/count_tokens"


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent; this endpoint knows no limit, stream or metadata."""
    body = anthropic_messages.forwarded(asked, sending)
    return fields.encode(fields.without(body, ("metadata", "stream", "max_tokens")))


def read_answer(raw: bytes) -> Seen:
    """Say that nothing was used."""
    return Seen(usage=Tokens())


def enrich(raw: bytes, costs: Costs) -> bytes:
    """Leave the answer as it is: it has no usage."""
    return raw


def meter(asked: Asked) -> Meter:
    """Start metering a stream, should an upstream send one unasked."""
    return Meter()
