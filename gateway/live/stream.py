"""The live stream of costs: WebSocket and server-sent events at one path, for programs and people."""

import asyncio
from collections.abc import Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import parse_cookie

from attribution.tenancy import api
from gateway.live import events, origins, readers
from gateway.live.events import AskedError, Filters, Hello
from gateway.live.listener import Listener
from gateway.live.readers import Look, Reader, RefusedError
from gateway.live.sockets import EventStream, Receive, Send, Socket, Way
from gateway.live.subscription import AwayError, Subscription

PATH = "/v1/stream/costs"
MOST = 500  # streams of one process,
EACH = 100  # and of one organization in it
FIRST = 10.0  # seconds for the first message
LONGEST = 16 * 1024  # bytes of it
KEYS = (b"authorization", b"x-api-key", b"x-goog-api-key")

Scope = MutableMapping[str, Any]


class Live:
    """The ASGI application of the stream."""

    def __init__(self, redis_url: str) -> None:
        """Prepare; `start` begins to work."""
        self.subscription = Subscription(redis_url)
        self._stopping = asyncio.Event()
        self._threads = ThreadPoolExecutor(4, "live")

    async def start(self) -> None:
        """Begin; Valkey may be away."""
        await self.subscription.start()

    def close(self) -> None:
        """End every stream: the server waits for them before it stops."""
        self._stopping.set()

    async def stop(self) -> None:
        """Hang up."""
        self.close()
        await self.subscription.stop()
        self._threads.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until its reader leaves or may no longer listen."""
        try:
            if scope["type"] == "websocket":
                await self._websocket(scope, receive, send)
            else:
                await self._events(scope, receive, send)
        except (TimeoutError, OSError):
            return  # the reader left, or took nothing for too long

    # -- how a stream begins

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if scope["path"] != PATH:
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        socket = Socket(receive, send)
        try:
            hello = await self._hello(socket)
            if hello is not None:
                look = _by_message(hello, scope)
                socket.is_greeting = hello.greet
                await self._serve(socket, look, hello.filters or Filters())
        except REFUSALS as error:
            await socket.refuse(*_told(error))

    async def _hello(self, socket: Socket) -> Hello | None:
        """Return what the reader wants; None when they left."""
        try:
            async with asyncio.timeout(FIRST):
                raw = await socket.first()
        except TimeoutError as error:
            message = f"The first message did not come within {FIRST:.0f} seconds."
            raise RefusedError("request_timeout", message) from error
        if raw is None:
            return None
        if len(raw) > LONGEST:
            raise AskedError(f"The first message is longer than {LONGEST} bytes.")
        return events.hello(api.loads(raw))

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = EventStream(receive, send)
        try:
            if scope["method"] != "GET":
                raise RefusedError("method_not_allowed", "Only GET is answered here.")
            query = scope["query_string"].decode("latin-1")
            filters = events.filters(parse_qsl(query, keep_blank_values=True))
            await self._serve(way, _by_head(scope), filters)
        except REFUSALS as error:
            await way.refuse(*_told(error))

    async def _serve(self, way: Way, look: Look, filters: Filters) -> None:
        """Let somebody listen; raises one of REFUSALS while nothing was said yet."""
        if len(self.subscription) >= MOST:  # who has not said who they are takes nobody's place
            raise RefusedError("rate_limited", "This server has no room for more streams.")
        reader = await self._look(look)
        owner = str(reader.organization_id)
        if self.subscription.readers_of(owner) >= EACH:
            raise RefusedError("rate_limited", "The organization has too many streams open.")
        listener = Listener(way, reader, filters, partial(self._look, look))
        feed = await self.subscription.join(owner, listener.wants)
        try:
            await way.begin()
            await listener.run(feed, self._stopping)
        finally:
            await self.subscription.leave(owner, feed)

    async def _look(self, look: Look) -> Reader:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, readers.looked, look)


REFUSALS = (
    RefusedError,
    AskedError,
    AwayError,
    api.ApiError,
    OperationalError,
    InterfaceError,
)


def _told(error: Exception) -> tuple[str, str, str]:
    """Return the code, the message and the parameter of a refusal."""
    if isinstance(error, OperationalError | InterfaceError):
        return "ledger_unavailable", "The books are away.", ""
    return getattr(error, "code", ""), str(error), getattr(error, "param", "")


def _by_message(hello: Hello, scope: Scope) -> Look:
    """Return who asks over a WebSocket: by the key of the first message, or by the browser's session."""
    if hello.api_key is not None:
        return partial(readers.by_key, hello.api_key)
    return _by_session(dict(scope["headers"]), is_origin_required=True)


def _by_head(scope: Scope) -> Look:
    """Return who asks for server-sent events: by the key in the head, or by the browser's session."""
    found = {_key(name, value) for name, value in scope["headers"] if name in KEYS} - {""}
    if len(found) > 1:
        message = "Two different API keys were presented."
        raise RefusedError("conflicting_credentials", message)
    if found:
        return partial(readers.by_key, found.pop())
    return _by_session(dict(scope["headers"]), is_origin_required=False)


def _key(name: bytes, value: bytes) -> str:
    if name == b"authorization":
        scheme, _, value = value.partition(b" ")
        if scheme.lower() != b"bearer":
            return ""
    return value.strip().decode("latin-1")


def _by_session(headers: Mapping[bytes, bytes], *, is_origin_required: bool) -> Look:
    cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    session = cookies.get(settings.SESSION_COOKIE_NAME, "")
    if not (session.isascii() and session.isalnum()):
        raise RefusedError("invalid_api_key", "Send an API key, or sign in.")
    if not origins.is_ours(headers, is_required=is_origin_required):
        raise RefusedError("origin_not_allowed", "Another site may not use this session.")
    return partial(readers.by_session, session)
