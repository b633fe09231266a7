"""The pooled HTTP/1.1 client: the only way from the gateway to a provider."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

import certifi

from attribution.outbound import addresses
from attribution.outbound.addresses import AddressError, Exceptions, Origin
from gateway.proxy.upstream.connection import (
    BODY,
    Connection,
    Deadlines,
    UpstreamTooLargeError,
    UpstreamUnreachableError,
)

Headers = list[tuple[bytes, bytes]]
IDLE = 30.0  # seconds that an unused connection is kept
NEXT = 1.5  # seconds after which the next address of a host is tried
DEADLINES = Deadlines()
BREAKS = (b"\r", b"\n", b"\0")


@dataclass(slots=True, frozen=True)
class Request:
    """One request, ready to be written. Host, length and encoding are the client's to set."""

    origin: Origin
    path: str
    headers: Headers
    body: bytes
    method: str = "POST"
    deadlines: Deadlines = DEADLINES
    on_send: Callable[[], None] | None = None  # called right before the first byte is written


class Response(Protocol):
    """An answer whose body may still be arriving."""

    status: int
    headers: Headers  # names in lower case
    is_framed: bool  # False: its end and a cut look the same

    async def next(self) -> bytes:
        """Return what has arrived of the body; empty at its end. Raise UpstreamError."""

    async def read(self, limit: int = BODY) -> bytes:
        """Return the whole body; more than `limit` bytes raise UpstreamTooLargeError."""

    def close(self) -> None:
        """Give the connection back, or abort it when the answer is not finished. Repeatable."""


class HTTPResponse:
    """The answer on one connection."""

    __slots__ = ("_client", "_connection", "_origin", "headers", "is_framed", "status")

    def __init__(self, client: "Client", origin: Origin, connection: Connection) -> None:
        """Take over the connection until `close`."""
        self._client = client
        self._origin = origin
        self._connection: Connection | None = connection
        self.status = connection.status
        self.headers = connection.headers
        self.is_framed = connection.is_framed

    async def next(self) -> bytes:
        """Return what has arrived of the body; empty at its end."""
        return await self._connection.next() if self._connection is not None else b""

    async def read(self, limit: int = BODY) -> bytes:
        """Return the whole body."""
        parts, total = [], 0
        while part := await self.next():
            parts.append(part)
            total += len(part)
            if total > limit:
                self.close()
                raise UpstreamTooLargeError(f"The answer is larger than {limit} bytes.")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Give the connection back, or abort it."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.release():
            self._client.keep(self._origin, connection)


class Client:
    """Connections by origin. Every new one is resolved and checked anew."""

    def __init__(
        self,
        *,
        exceptions: Exceptions = addresses.NO_EXCEPTIONS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Keep the operator's exceptions and the certificates to trust."""
        self._exceptions = exceptions
        self._tls = tls or trusted()
        self._idle: dict[Origin, list[Connection]] = {}
        self._asking: dict[Origin, asyncio.Task[list[str]]] = {}

    async def open(self, request: Request) -> Response:
        """Send a request and return its answer once the head is there.

        Raises UpstreamUnreachableError only when no byte was written; a kept connection that dies
        after the write counts as sent, for the provider may have read and billed the call.
        """
        origin = request.origin
        data = _serialized(request)
        connection = self._kept(origin) or await self._connected(origin, request.deadlines)
        try:
            if request.on_send is not None:
                request.on_send()
            await connection.send(data, request.deadlines)
        except BaseException:
            connection.release()
            connection.abort()
            raise
        return HTTPResponse(self, origin, connection)

    def keep(self, origin: Origin, connection: Connection) -> None:
        """Keep a finished connection for the next call; the oldest idle ones go."""
        now = connection.idle_since = asyncio.get_running_loop().time()
        idle = self._idle.setdefault(origin, [])
        idle.append(connection)
        connection.on_lost = lambda lost: self._forget(origin, lost)
        while now - idle[0].idle_since > IDLE:
            idle.pop(0).abort()

    def close(self) -> None:
        """Close all idle connections."""
        for idle in self._idle.values():
            for connection in idle:
                connection.on_lost = None
                connection.abort()
        self._idle.clear()

    def _kept(self, origin: Origin) -> Connection | None:
        """Return a living idle connection, the freshest first."""
        idle = self._idle.get(origin)
        now = asyncio.get_running_loop().time()
        while idle:
            connection = idle.pop()
            connection.on_lost = None
            if now - connection.idle_since <= IDLE and connection.is_usable():
                return connection
            connection.abort()
        return None

    def _forget(self, origin: Origin, connection: Connection) -> None:
        """Drop an idle connection that the upstream closed."""
        idle = self._idle.get(origin, [])
        if connection in idle:
            idle.remove(connection)

    async def _connected(self, origin: Origin, deadlines: Deadlines) -> Connection:
        """Resolve, check every address, connect to one of them within the deadline."""
        try:
            addresses.check_origin(origin, self._exceptions)
            async with asyncio.timeout(deadlines.connect):
                found = await self._resolved(origin)
                addresses.check_addresses(origin, found, self._exceptions)
                return await self._first(origin, found)
        except (OSError, AddressError, TimeoutError, UnicodeError) as error:
            # One text for all: what stands where in the network is nobody's business.
            raise UpstreamUnreachableError("The upstream cannot be reached.") from error

    async def _resolved(self, origin: Origin) -> list[str]:
        """Ask the resolver, or join who asks: a dead one must not take every thread it has."""
        task = self._asking.get(origin)
        if task is None:
            task = self._asking[origin] = asyncio.ensure_future(_resolved(origin))
            task.add_done_callback(lambda done: self._answered(origin, done))
        return await asyncio.shield(task)

    def _answered(self, origin: Origin, task: "asyncio.Task[list[str]]") -> None:
        del self._asking[origin]
        if not task.cancelled():
            task.exception()  # whoever waits meets it

    async def _first(self, origin: Origin, found: list[str]) -> Connection:
        """Connect to the first address that answers."""
        loop = asyncio.get_running_loop()
        for last, address in enumerate(found, 1 - len(found)):
            try:
                async with asyncio.timeout(NEXT if last else None):
                    transport, connection = await loop.create_connection(
                        lambda: Connection(loop),
                        address,
                        origin.port,
                        ssl=self._tls if origin.is_tls else None,
                        server_hostname=origin.host if origin.is_tls else None,
                    )
            except OSError:  # a TimeoutError is one, too
                if not last:
                    raise
                continue
            if ip_address(transport.get_extra_info("peername")[0]) != ip_address(address):
                transport.abort()
                raise AddressError("Another address answered.")
            return connection
        raise AddressError("The host has no address.")


def trusted() -> ssl.SSLContext:
    """Return a context that verifies host names against certifi and the system's store."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _resolved(origin: Origin) -> list[str]:
    """Return the addresses of the host, each once, in the resolver's order."""
    try:
        return [str(ip_address(origin.host))]
    except ValueError:
        loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.host, origin.port, proto=6)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _serialized(request: Request) -> bytes:
    """Return the bytes of a request; what would break out of its line is refused."""
    if not request.path.isprintable() or " " in request.path:
        raise ValueError("the path is not one")
    parts = [
        f"{request.method} {request.path} HTTP/1.1\r\nhost: {request.origin.authority}\r\n"
        f"accept-encoding: identity\r\ncontent-length: {len(request.body)}\r\n".encode("ascii")
    ]
    for name, value in request.headers:
        if any(mark in value for mark in BREAKS):
            raise ValueError(f"header {name!r} has a line break")
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n", request.body)
    return b"".join(parts)
