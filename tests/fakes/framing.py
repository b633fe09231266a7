"""How requests and answers stand on the wire: heads, chunks, events."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

JSON = "application/json"
EVENTS = "text/event-stream"


def head(status: int, kind: str, *more: str, length: int | None = None) -> bytes:
    """Return the head of an answer; without a length its body comes in chunks."""
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {kind}", framing, *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Return one chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(body: bytes) -> bytes:
    """Return a whole body in chunks, one for each event."""
    return b"".join(map(chunk, pieces(body))) + b"0\r\n\r\n"


def pieces(body: bytes) -> Iterator[bytes]:
    """Split a stream after its blank lines; other bodies stay whole."""
    begin = 0
    while begin < len(body):
        end = body.find(b"\n\n", begin)
        end = len(body) if end < 0 else end + 2
        yield body[begin:end]
        begin = end


@dataclass
class Heard:
    """One request that arrived whole."""

    path: str
    id: str  # the gateway's x-request-id
    is_stream: bool
    wishes: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes  # the recorded answer
    whole: bytes  # the same not streamed
    turn: int  # how often this call was sent, from 1
    on_connection: int  # how many requests this connection carried, from 1
    at: float = field(default_factory=time.monotonic)

    @property
    def is_left(self) -> bool:
        """Tell whether the gateway closed the connection."""
        return self.reader.at_eof() or self.writer.transport.is_closing()

    def number(self, wish: str, default: float = 0) -> float:
        """Return a wished number."""
        return float(self.wishes.get(wish, default))

    @property
    def kind(self) -> str:
        """Return the content type of the recorded answer."""
        return EVENTS if self.body.startswith((b"data:", b"event:")) else JSON

    def raw(self) -> bytes:
        """Return the recorded answer as it stands on the wire."""
        if not self.is_stream:
            return head(200, self.kind, length=len(self.body)) + self.body
        return head(200, self.kind) + chunked(self.body)

    async def write(self, data: bytes) -> None:
        """Write, and wait while the gateway does not read."""
        self.writer.write(data)
        await self.writer.drain()
