"""What a provider can do wrong, by name; `tests.fakes.faulty` carries it out."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.fakes.framing import JSON, Heard, chunk, chunked, head, pieces
from tests.fakes.malformed import CHANGES, ERRORS

PIECE = 1 << 16


Fault = Callable[[Heard], Awaitable[None]]
FAULTS: dict[str, Fault] = {}


class HangUpError(Exception):
    """Raised by a fault to end the connection in order."""


def fault(work: Fault) -> Fault:
    """Register a fault under the name of its function."""
    FAULTS[work.__name__] = work
    return work


# -- faults of the connection


@fault
async def good(heard: Heard) -> None:
    """Answer as recorded."""
    await heard.write(heard.raw())


@fault
async def cut(heard: Heard) -> None:
    """Close after `at` bytes of the answer, its head included; `reset=1` resets instead."""
    await heard.write(heard.raw()[: int(heard.number("at"))])
    if heard.number("reset"):
        heard.writer.transport.abort()
    raise HangUpError


@fault
async def unframed(heard: Heard) -> None:
    """Close after `at` bytes of a body that ends with its connection."""
    top = head(200, heard.kind, length=0).replace(b"content-length: 0", b"connection: close")
    await heard.write(top + heard.body[: int(heard.number("at", len(heard.body)))])
    raise HangUpError


@fault
async def reset(heard: Heard) -> None:
    """Reset the connection right after the head."""
    await heard.write(head(200, heard.kind))
    heard.writer.transport.abort()
    raise HangUpError


@fault
async def silent(heard: Heard) -> None:
    """Never say anything."""
    await asyncio.sleep(60)


@fault
async def slow(heard: Heard) -> None:
    """Answer after `wait` seconds."""
    await asyncio.sleep(heard.number("wait"))
    await heard.write(heard.raw())


@fault
async def stuck(heard: Heard) -> None:
    """Say nothing more after the head and half of the body."""
    await heard.write(heard.raw()[: len(heard.raw()) - len(heard.body) // 2])
    await asyncio.sleep(60)


@fault
async def drip(heard: Heard) -> None:
    """Answer byte by byte, one every `gap` seconds."""
    raw = heard.raw()
    for position in range(len(raw)):
        await heard.write(raw[position : position + 1])
        await asyncio.sleep(heard.number("gap"))


@fault
async def stale(heard: Heard) -> None:
    """Close a kept connection after an answer: `how` = at_once, or at the next request."""
    if heard.wishes["how"] == "at_once":
        await heard.write(heard.raw())
        raise HangUpError
    if heard.on_connection > 1:
        heard.writer.transport.abort()
        raise HangUpError
    await heard.write(heard.raw())


# -- faults of HTTP


@fault
async def junk(heard: Heard) -> None:
    """Speak another protocol."""
    await heard.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n\0\1\2\3")


@fault
async def interim(heard: Heard) -> None:
    """Send `times` interim answers before the real one."""
    for _ in range(int(heard.number("times", 3))):
        await heard.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    await heard.write(b"HTTP/1.1 100 Continue\r\n\r\n" + heard.raw())


@fault
async def huge_head(heard: Heard) -> None:
    """Send headers without end."""
    await heard.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        await heard.write(b"x-more: " + b"y" * 4000 + b"\r\n")


@fault
async def huge_trailer(heard: Heard) -> None:
    """Send trailers without end behind a good answer."""
    await heard.write(head(200, heard.kind) + chunk(heard.body) + b"0\r\n")
    while True:
        await heard.write(b"x-more: " + b"y" * 4000 + b"\r\n")


@fault
async def bad_chunk(heard: Heard) -> None:
    """Send a chunk size that is no number after half of the body."""
    half = heard.body[: len(heard.body) // 2]
    await heard.write(head(200, heard.kind) + chunk(half) + b"zz\r\nxx\r\n")


@fault
async def too_short(heard: Heard) -> None:
    """Announce more than what is sent."""
    top = head(200, heard.kind, length=len(heard.body) + 10)
    await heard.write(top + heard.body)
    raise HangUpError


@fault
async def too_long(heard: Heard) -> None:
    """Send more than what is announced."""
    top = head(200, heard.kind, length=len(heard.body) // 2)
    await heard.write(top + heard.body)


@fault
async def empty(heard: Heard) -> None:
    """Answer `status` without a body."""
    await heard.write(head(int(heard.number("status", 200)), JSON, length=0))


@fault
async def bomb(heard: Heard) -> None:
    """Answer compressed: 64 kB on the wire, 64 MB unpacked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    await heard.write(head(200, JSON, "content-encoding: gzip", length=len(body)) + body)


@fault
async def html(heard: Heard) -> None:
    """Answer 200 with a page."""
    page = b"<!doctype html><title>Sign in</title><h1>Welcome to the hotel</h1>"
    await heard.write(head(200, "text/html", length=len(page)) + page)


@fault
async def whole(heard: Heard) -> None:
    """Answer a stream's request with a complete body."""
    kind, text = (
        heard.wishes.get("kind", JSON),
        b'{"type":"error","error":{"message":"no streams here"}}',
    )
    body = text if heard.number("error") else heard.whole
    await heard.write(head(200, kind, length=len(body)) + body)


@fault
async def redirect(heard: Heard) -> None:
    """Send the caller to a private address: this server's own."""
    host, port = heard.writer.get_extra_info("sockname")
    where = f"location: http://{host}:{port}/latest/meta-data"
    await heard.write(head(int(heard.number("status", 302)), JSON, where, length=0))


@fault
async def status(heard: Heard) -> None:
    """Answer with the error `status`, the first `times` times that this call is sent, `then` not.

    `after` seconds or `date` seconds ahead, as a date, are asked for; `body` = json, html, huge,
    cut or billed says what stands in the answer.
    """
    if heard.turn > heard.number("times", 99):
        await FAULTS[heard.wishes.get("then", "good")](heard)
        return
    more = []
    if "after" in heard.wishes:
        more.append(f"retry-after: {heard.wishes['after']}")
    if "date" in heard.wishes:
        until = datetime.now(UTC) + timedelta(seconds=heard.number("date"))  # noqa: TID251  a fake
        more.append(f"retry-after: {format_datetime(until, usegmt=True)}")
    body, kind = ERRORS[heard.wishes.get("body", "json")]
    length = len(body) + 50 * (heard.wishes.get("body") == "cut")
    await heard.write(head(int(heard.number("status")), kind, *more, length=length) + body)
    if length > len(body):
        raise HangUpError


# -- faults of a stream


@fault
async def endless(heard: Heard) -> None:
    """Repeat the first event that says a word without end; `gap` seconds between them."""
    first = next(piece for piece in pieces(heard.body) if b"word " in piece)
    await heard.write(head(200, heard.kind))
    while True:
        await heard.write(chunk(first))
        await asyncio.sleep(heard.number("gap"))


@fault
async def comments(heard: Heard) -> None:
    """Send nothing but comments of `size` bytes, without end."""
    await heard.write(head(200, heard.kind))
    while True:
        await heard.write(chunk(b": still here" + b"." * int(heard.number("size")) + b"\n\n"))
        await asyncio.sleep(heard.number("gap", 0.05))


@fault
async def large(heard: Heard) -> None:
    """Send the whole answer with `mb` megabytes of blanks behind it."""
    blanks = int(heard.number("mb")) << 20
    await heard.write(head(200, JSON, length=len(heard.whole) + blanks) + heard.whole)
    await heard.write(b" " * blanks)


@fault
async def flood(heard: Heard) -> None:
    """Send `mb` megabytes without any line end, or of an answer that is not a stream."""
    await heard.write(head(200, heard.kind) + chunk(b"data: "))
    for _ in range(int(heard.number("mb", 8)) << 4):
        await heard.write(chunk(b"x" * PIECE))
    raise HangUpError


@fault
async def malformed(heard: Heard) -> None:
    """Send the stream changed as `how` says."""
    await heard.write(head(200, heard.kind) + chunked(CHANGES[heard.wishes["how"]](heard.body)))
