"""Gemini's embedContent and batchEmbedContents; the URL names the model and the method."""

from collections.abc import Mapping
from typing import Final

from gateway.proxy.protocols import fields, gemini_body, gemini_stream, strict_json
from gateway.proxy.protocols.wire import (
    Asked,
    Dialect,
    InvalidRequestError,
    Json,
    Seen,
    Sending,
    Size,
)

NAME: Final = "gemini_embeddings"
DIALECT: Final[Dialect] = "gemini"
MOST_INPUTS = 2048

KNOWN = frozenset(("model", "content", "taskType", "title", "outputDimensionality"))

enrich = gemini_stream.enrich


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly; nothing is written, so the output is bounded by 0."""
    body = gemini_body.camel(strict_json.load_object(raw))
    if "requests" in body:
        entries = fields.objects(body, "requests")
        if len(entries) > MOST_INPUTS:
            raise InvalidRequestError(f"`requests` has over {MOST_INPUTS} entries.", "requests")
        body["requests"] = [gemini_body.camel(entry) for entry in entries]
    for entry in _entries(body):
        if not isinstance(entry.get("content"), dict):
            raise InvalidRequestError("`content` must be an object.", "content")
    model, attribution = gemini_body.model_of(path), fields.attribution(body)
    return Asked(body=body, model=model, max_output=0, attribution=attribution)


def _entries(body: Json) -> list[Json]:
    """Return what is to be embedded, one by one."""
    entries: list[Json] = body.get("requests") or [body]
    return entries


def size(asked: Asked) -> Size:
    """Measure the request for its upper bound."""
    entries = _entries(asked.body)
    places = [gemini_body.media(e["content"], f"requests[{n}]") for n, e in enumerate(entries)]
    known = KNOWN.union(fields.ATTRIBUTION, ("requests",))
    text = fields.encode([[entry["content"], entry.get("title")] for entry in entries])
    return Size(
        text_bytes=fields.text_length(text),
        messages=len(entries),
        tools=0,
        media=next((place for place in places if place), None),
        unbounded=next((name for e in entries if (name := fields.unknown(e, known))), None)
        or fields.unknown(asked.body, known),
        input_classes=("input", "audio_input") if any(places) else ("input",),
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
    is_batch = "requests" in asked.body
    return gemini_body.method(sending, "batchEmbedContents" if is_batch else "embedContent")


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent; every entry names the model again, and it is ours that counts."""
    body = fields.without(asked.body, sending.strip, fields.ATTRIBUTION)
    model = f"models/{sending.model.removeprefix('models/')}"
    if "requests" in body:
        body["requests"] = [{**entry, "model": model} for entry in body["requests"]]
    else:
        body["model"] = model
    return fields.encode(body)


def read_answer(raw: bytes) -> Seen:
    """Read a complete answer; numbers are no output, whatever their length."""
    seen = gemini_stream.read_answer(raw)
    seen.text_bytes = 0
    return seen


def meter(asked: Asked) -> gemini_stream.Meter:
    """Start metering a stream, should an upstream send one unasked."""
    return gemini_stream.Meter(is_array=False)
