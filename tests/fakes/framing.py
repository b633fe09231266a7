"""How answers stand on the wire: heads, chunks, events."""

from collections.abc import Iterator

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
