"""Gemini's countTokens, free of charge."""

from collections.abc import Mapping
from typing import Final

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import fields, gemini_body, gemini_stream, strict_json
from gateway.proxy.protocols.wire import Asked, Costs, Dialect, Seen, Sending, Size

NAME: Final = "gemini_count_tokens"
DIALECT: Final[Dialect] = "gemini"


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly; nothing is read or written for money."""
    body = gemini_body.camel(strict_json.load_object(raw))
    model, attribution = gemini_body.model_of(path), fields.attribution(body)
    return Asked(body=body, model=model, max_output=0, attribution=attribution, is_free=True)


def size(asked: Asked) -> Size:
    """Say that this call costs nothing."""
    return Size(text_bytes=0, messages=0, tools=0, input_classes=(), output_classes=())


def system_text(asked: Asked) -> str:
    """Return nothing: what is only counted is no prompt."""
    return ""


def hides_reasoning(asked: Asked, model: str) -> bool:
    """Tell that nothing is thought."""
    return False


def upstream_path(asked: Asked, sending: Sending) -> str:
    """Return the path under the upstream's base."""
    return gemini_body.method(sending, "countTokens")


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent; a whole request inside names the model again."""
    body = fields.without(asked.body, sending.strip, fields.ATTRIBUTION, ("model",))
    inner = body.get("generateContentRequest")
    if isinstance(inner, dict):
        model = f"models/{sending.model.removeprefix('models/')}"
        body["generateContentRequest"] = {**inner, "model": model}
    return fields.encode(body)


def read_answer(raw: bytes) -> Seen:
    """Say that nothing was used."""
    return Seen(usage=Tokens())


def enrich(raw: bytes, costs: Costs) -> bytes:
    """Leave the answer as it is: it has no usage."""
    return raw


def meter(asked: Asked) -> gemini_stream.Meter:
    """Start metering a stream, should an upstream send one unasked."""
    return gemini_stream.Meter(is_array=False)
