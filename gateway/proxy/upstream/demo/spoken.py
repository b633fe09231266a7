"""An answer of the demo before it is spoken: its bytes, piece by piece, in a provider's format."""

import json
from dataclasses import dataclass
from typing import Any

EVENTS = b"text/event-stream"
JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Spoken:
    """The parts of a body, what kind it is, and how many tokens a whole one took to write."""

    parts: list[bytes]
    kind: bytes = JSON
    written: int = 0  # of an answer that comes in one part

    @classmethod
    def whole(cls, body: Any, written: int = 0) -> "Spoken":
        """Say everything at once, after the time that writing it takes."""
        return cls([encode(body)], written=written)


def encode(body: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(body, separators=(",", ":")).encode()


def event(body: Any, *, name: str = "", end: bytes = b"\n\n") -> bytes:
    """Return one server-sent event."""
    first = b"event: " + name.encode() + b"\n" if name else b""
    return first + b"data: " + encode(body) + end
