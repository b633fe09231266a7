"""The two ways to a reader, as the stream sees them: a WebSocket, or server-sent events."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import msgspec

STALL = 30.0  # seconds after which a reader who takes nothing is gone
CHATTER = 100  # messages after the first one; they say nothing to us

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Why a stream ends: the close code of a WebSocket and the status of what was never begun.
ENDS = {
    "invalid_request": (4400, 400),
    "invalid_api_key": (4401, 401),
    "not_signed_in": (4401, 401),
    "conflicting_credentials": (4400, 400),
    "not_allowed": (4403, 403),
    "blocked": (4403, 403),
    "scope_not_allowed": (4403, 403),
    "origin_not_allowed": (4403, 403),
    "request_timeout": (4408, 408),
    "rate_limited": (4429, 429),
    "method_not_allowed": (4400, 405),
    "stream_unavailable": (1013, 503),
    "ledger_unavailable": (1013, 503),
    "stopping": (1012, 503),
}
PLAIN = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
BESIDE = {  # what a refusal of a status says besides
    401: (b"www-authenticate", b"Bearer"),
    405: (b"allow", b"GET"),
    429: (b"retry-after", b"5"),
    503: (b"retry-after", b"5"),
}


class Way(Protocol):
    """How words reach a reader; a slow one is waited for, but not for ever (TimeoutError)."""

    async def begin(self) -> None:
        """Say that the stream is open."""

    async def say(self, word: bytes, name: str) -> None:
        """Send one JSON object."""

    async def beat(self) -> None:
        """Send something that says nothing, so that nobody on the way hangs up."""

    async def gone(self) -> None:
        """Return when the reader has left."""

    async def end(self, code: str, message: str) -> None:
        """Say why it ends, and end it."""


class Socket:
    """A WebSocket; the server itself pings."""

    def __init__(self, receive: Receive, send: Send) -> None:
        """Take what the server gives."""
        self._receive, self._send = receive, send
        self.is_greeting = False

    async def first(self) -> bytes | None:
        """Return the first message; None when the reader left."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return None
        text = message.get("text")
        return text.encode() if text is not None else bytes(message.get("bytes") or b"")

    async def begin(self) -> None:
        """Say that the stream is open, to whom asked for that."""
        if self.is_greeting:
            await self.say(b'{"event":"open"}', "open")

    async def say(self, word: bytes, name: str) -> None:
        """Send one JSON object."""
        async with asyncio.timeout(STALL):
            await self._send({"type": "websocket.send", "text": word.decode()})

    async def beat(self) -> None:
        """Do nothing."""

    async def gone(self) -> None:
        """Return when the reader has left, or talks and talks."""
        for _ in range(CHATTER):
            if (await self._receive())["type"] == "websocket.disconnect":
                return

    async def end(self, code: str, message: str) -> None:
        """Say why it ends, and close."""
        await self.refuse(code, message)

    async def refuse(self, code: str, message: str, param: str = "") -> None:
        """Say what is wrong, and close."""
        await self.say(error(code, message, param=param, event="error"), "error")
        await self._send({"type": "websocket.close", "code": ENDS[code][0], "reason": code})


class EventStream:
    """Server-sent events."""

    def __init__(self, receive: Receive, send: Send) -> None:
        """Take what the server gives."""
        self._receive, self._send = receive, send

    async def begin(self) -> None:
        """Answer that the stream is open."""
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"x-accel-buffering", b"no"),  # nginx would hold events back
            *PLAIN,
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._write(b": open\n\n")

    async def say(self, word: bytes, name: str) -> None:
        """Send one JSON object; waits for a slow reader."""
        await self._write(b"event: " + name.encode() + b"\ndata: " + word + b"\n\n")

    async def beat(self) -> None:
        """Send a comment."""
        await self._write(b": still here\n\n")

    async def gone(self) -> None:
        """Return when the reader has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def end(self, code: str, message: str) -> None:
        """Say why it ends, and end."""
        await self.say(error(code, message, event="error"), "error")
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, code: str, message: str, param: str = "") -> None:
        """Answer with an error instead of a stream."""
        status = ENDS[code][1]
        headers = [(b"content-type", b"application/json"), *PLAIN]
        if status in BESIDE:
            headers.append(BESIDE[status])
        body = error(code, message, param=param)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _write(self, part: bytes) -> None:
        async with asyncio.timeout(STALL):
            await self._send({"type": "http.response.body", "body": part, "more_body": True})


def error(code: str, message: str, *, param: str = "", event: str = "") -> bytes:
    """Write an error; over a stream it is an event like the others."""
    told = {"code": code, "message": message} | ({"param": param} if param else {})
    return msgspec.json.encode(({"event": event} if event else {}) | {"error": told})
