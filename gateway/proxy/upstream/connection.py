"""One HTTP/1.1 connection to a provider, one call at a time on it."""

import asyncio
import collections
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

QUEUE = 64 * 1024  # body bytes kept for a slow reader before the upstream is stalled
HEADERS = 128 * 1024
BODY = 64 << 20
GRACE = 30.0  # seconds before the minimum rate counts


class UpstreamError(Exception):
    """A provider that gave no complete answer; `code` is what the client is told."""

    code = "upstream_error"
    was_sent = True  # the provider may have billed: never retry, never release the hold


class UpstreamUnreachableError(UpstreamError):
    """Nothing was sent: not billed, may be retried."""

    code = "upstream_unreachable"
    was_sent = False


class UpstreamBrokenError(UpstreamError):
    """The connection or the answer broke after sending began."""


class UpstreamTooLargeError(UpstreamBrokenError):
    """The answer is larger than what was asked for."""


class UpstreamTimeoutError(UpstreamError):
    """A deadline passed after sending began."""

    code = "upstream_timeout"


@dataclass(slots=True, frozen=True)
class Deadlines:
    """Seconds. `total` ends every call; without it a slow drip would live for ever."""

    connect: float = 5.0
    idle: float = 120.0  # between two reads, the first one included
    total: float = 600.0
    minimum_rate: int = 1  # bytes of body per second, on average, after a grace of 30 s


class Connection(asyncio.Protocol):
    """Writes a request, parses the answer, stalls the upstream when nobody reads."""

    __slots__ = (
        *("transport", "status", "headers", "is_done", "idle_since", "on_lost", "error"),
        *("_loop", "_parser", "_chunks", "_queued", "_head", "_waiter", "_poller", "_timer"),
        *("_began", "_heard", "_read", "_trailer", "_deadlines", "_keeps", "_is_paused"),
        "is_framed",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start unconnected."""
        self._loop = loop
        self.transport: asyncio.Transport | None = None
        self.on_lost: Callable[[Connection], None] | None = None
        self.is_done = True
        self.idle_since = 0.0
        self.error: UpstreamError | None = None
        self._head: asyncio.Future[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._poller = select.poll()
        self._is_paused = False
        self._keeps = False

    # -- what the pool and the response do

    def is_usable(self) -> bool:
        """Tell whether an idle connection is alive: an end already received makes it readable."""
        transport = self.transport
        return transport is not None and not transport.is_closing() and not self._poller.poll(0)

    async def send(self, data: bytes, deadlines: Deadlines) -> None:
        """Write one request and wait for the head of its answer."""
        if self.transport is None or self.transport.is_closing():
            raise UpstreamUnreachableError("The connection closed before it was used.")
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_done = False
        self.is_framed = True  # False: the body ends with its connection, whether whole or cut
        self._chunks: collections.deque[bytes] = collections.deque()
        self._queued = self._read = self._trailer = 0
        self._parser = httptools.HttpResponseParser(self)
        self._deadlines = deadlines
        self._began = self._heard = self._loop.time()
        self._head = self._loop.create_future()
        self._timer = self._loop.call_later(min(deadlines.idle, deadlines.total), self._check)
        self.transport.write(data)
        await self._head

    async def next(self) -> bytes:
        """Return what has arrived of the body; empty at its end."""
        while not self._chunks:
            if self.error is not None:
                raise self.error
            if self.is_done:
                return b""
            self._waiter = self._loop.create_future()
            await self._waiter
        data = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._queued = 0
        if self._is_paused and self.transport is not None:
            self._is_paused = False
            self._heard = self._loop.time()
            self.transport.resume_reading()
        return data

    def release(self) -> bool:
        """End the call; True when the connection may serve another one."""
        if self._timer is not None:
            self._timer.cancel()
        usable = self.is_done and self._keeps and self.error is None and not self._is_paused
        if not usable or self.transport is None or self.transport.is_closing():
            self.abort()
            return False
        return True

    def abort(self) -> None:
        """Close at once; whatever is under way ends as broken."""
        if self.transport is not None:
            self.transport.abort()

    # -- what the event loop does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport and watch its socket for an early end."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self.is_done:
            self.abort()  # nobody asked: an answer to no question poisons the next call
            return
        self._heard = self._loop.time()
        self._read += len(data)
        if self._read > HEADERS and not self.status:
            self._fail(UpstreamTooLargeError("The head of the answer is too large."))
            return
        if self._read > BODY:  # whatever it is: body, trailers, extensions of chunks
            self._fail(UpstreamTooLargeError(f"The answer is larger than {BODY} bytes."))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(UpstreamBrokenError(f"The answer is not HTTP: {type(error).__name__}."))

    def eof_received(self) -> bool:
        """Take the end of the stream as the end of a body that has no other end."""
        if not self.is_done and self.status and not self.is_framed:
            self.on_message_complete()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """End what is under way."""
        self.transport = None
        if not self.is_done:
            self._fail(UpstreamBrokenError("The upstream closed the connection."))
        if self.on_lost is not None:
            self.on_lost(self)

    # -- what the parser does

    def on_message_begin(self) -> None:
        """Refuse a second answer in the same bytes."""
        if self.is_done:
            self._keeps = False
            raise UpstreamBrokenError("Two answers to one question.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, its name in lower case; trailers are read over."""
        if not self.status:
            self.headers.append((name.lower(), value))
            return
        self._trailer += len(name) + len(value)
        if self._trailer > HEADERS:
            self._fail(UpstreamTooLargeError("The trailer of the answer is too large."))

    def on_headers_complete(self) -> None:
        """Judge the head and wake the caller."""
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                self._fail(UpstreamBrokenError("The upstream switched protocols."))
            return  # 100 Continue and its kin come before the answer
        self.status = status
        self._keeps = self._parser.should_keep_alive()
        framed = False
        for name, value in self.headers:
            if name in (b"content-length", b"transfer-encoding"):
                framed = True
            elif name == b"content-encoding" and value.lower() not in (b"", b"identity"):
                self._fail(UpstreamBrokenError("The answer is compressed though it may not be."))
                return
        self.is_framed = framed
        if self._head is not None and not self._head.done():
            self._head.set_result(None)

    def on_body(self, data: bytes) -> None:
        """Queue a part of the body; stall the upstream when too much waits."""
        if self.error is not None:
            return
        self._chunks.append(data)
        self._queued += len(data)
        if self._queued > QUEUE and not self._is_paused and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        """Mark the end of the answer."""
        if not self.status:
            self.headers = []  # the end of a 100 Continue
            return
        self.is_done = True
        self._wake()

    # -- within

    def _wake(self) -> None:
        """Let the reader go on."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        """End the call with `error`; one that is complete already stays good."""
        if self.is_done:
            self.abort()
            return
        if self.error is None:
            self.error = error
        if self._head is not None and not self._head.done():
            self._head.set_exception(self.error)
        self._wake()
        self.abort()

    def _check(self) -> None:
        """Watch the deadlines with one timer for the whole call."""
        if self.is_done or self.error is not None:
            return
        now, limits = self._loop.time(), self._deadlines
        if self._is_paused:
            self._heard = now  # the reader is slow, not the upstream
        age = now - self._began
        if now - self._heard >= limits.idle or age >= limits.total:
            self._fail(UpstreamTimeoutError("The upstream did not answer in time."))
        elif self.status and age > GRACE and self._read < limits.minimum_rate * age:
            self._fail(UpstreamTimeoutError("The upstream answers too slowly."))
        else:
            wait = min(self._heard + limits.idle, self._began + limits.total) - now
            self._timer = self._loop.call_later(max(wait, 0.01), self._check)
