"""OpenAI's embeddings: `POST /v1/embeddings`, the same at Azure and Mistral. Never streamed."""

from collections.abc import Mapping
from typing import Final

from gateway.proxy.protocols import fields, openai_answer, strict_json
from gateway.proxy.protocols.openai_completions import inputs, is_tokens
from gateway.proxy.protocols.openai_stream import Meter
from gateway.proxy.protocols.wire import Asked, Dialect, Seen, Sending, Size

NAME: Final = "openai_embeddings"
DIALECT: Final[Dialect] = "openai"
MOST_INPUTS = 2048

KNOWN = frozenset(
    (
        *fields.ATTRIBUTION,
        *("model", "input", "encoding_format", "dimensions", "input_type", "truncate"),
        *("output_dimension", "output_dtype"),
    )
)

enrich = openai_answer.enrich


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly; nothing is written, so the output is bounded by 0."""
    body = strict_json.load_object(raw)
    inputs(body.get("input"), "input", MOST_INPUTS)
    model, attribution = fields.model_of(body), fields.attribution(body)
    return Asked(body=body, model=model, max_output=0, attribution=attribution)


def size(asked: Asked) -> Size:
    """Measure the request for its upper bound."""
    value = asked.body["input"]
    return Size(
        text_bytes=fields.text_length(fields.encode(value)),
        messages=len(value) if isinstance(value, list) and not is_tokens(value) else 1,
        tools=0,
        unbounded=fields.unknown(asked.body, KNOWN),
        input_classes=("input",),
        output_classes=(),
    )


def system_text(asked: Asked) -> str:
    """Return nothing: there is no template in what is embedded."""
    return ""


def hides_reasoning(asked: Asked, model: str) -> bool:
    """Tell that nothing is thought."""
    return False


def upstream_path(asked: Asked, sending: Sending) -> str:
    """Return the path under the upstream's base."""
    return "/embeddings"


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent: the parsed body without our fields."""
    body = fields.without(asked.body, sending.strip, fields.OURS, ("metadata",))
    return fields.encode({**body, "model": sending.model})


def read_answer(raw: bytes) -> Seen:
    """Read a complete answer; numbers are no output, whatever their length."""
    seen = openai_answer.read_answer(raw)
    seen.text_bytes = 0
    return seen


def meter(asked: Asked) -> Meter:
    """Start metering a stream, should an upstream send one unasked."""
    return Meter(hides_usage=False)
