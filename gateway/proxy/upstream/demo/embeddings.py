"""The demo's embeddings, in OpenAI's format and in Gemini's: numbers that mean nothing."""

import base64
import hashlib
import math
import struct
from typing import Any

from gateway.proxy.upstream.demo.speech import (
    Json,
    NotUnderstoodError,
    counted,
    objects,
    whole_number,
)
from gateway.proxy.upstream.demo.spoken import Spoken

USUAL, MOST = 256, 4096  # dimensions


def answer(body: Json, path: str) -> Spoken:
    """Answer OpenAI's `/embeddings`."""
    given = body.get("input")
    is_many = isinstance(given, list) and not all(isinstance(item, int) for item in given)
    inputs = given if isinstance(given, list) and is_many else [given]
    read = counted(*inputs) + sum(len(one) for one in inputs if isinstance(one, list))
    is_packed = body.get("encoding_format") == "base64"
    vectors = [_vector(one, body.get("dimensions")) for one in inputs]
    data = [
        {"object": "embedding", "index": number, "embedding": _packed(v) if is_packed else v}
        for number, v in enumerate(vectors)
    ]
    usage = {"prompt_tokens": read, "total_tokens": read}
    whole = {"object": "list", "data": data, "model": body.get("model"), "usage": usage}
    return Spoken.whole(whole)


def embed(body: Json, path: str) -> Spoken:
    """Answer Gemini's `:embedContent` and `:batchEmbedContents`."""
    entries = objects(body.get("requests")) if "requests" in body else [body]
    if not entries or not all(isinstance(entry.get("content"), dict) for entry in entries):
        raise NotUnderstoodError("`content` is missing.")
    read = counted(*(entry["content"] for entry in entries))
    found = [{"values": _vector(e["content"], e.get("outputDimensionality"))} for e in entries]
    usage = {"usageMetadata": {"promptTokenCount": read}}
    if "requests" in body:
        return Spoken.whole({"embeddings": found, **usage})
    return Spoken.whole({"embedding": found[0], **usage})


def _vector(text: Any, dimensions: Any) -> list[float]:
    """Return a vector of length one, the same for the same text."""
    size = min(whole_number(dimensions, USUAL), MOST)
    noise = hashlib.shake_256(repr(text).encode()).digest(2 * size)
    values = [number / 32768 for number in struct.unpack(f"<{size}h", noise)]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [round(value / length, 8) for value in values]


def _packed(vector: list[float]) -> str:
    """Return a vector as OpenAI packs it."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
