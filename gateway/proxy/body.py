"""The body of a request, read within its limits of size, time and rate."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.proxy.answer import RefusedError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

BODY = 10 << 20
TOO_LARGE = f"The body is larger than {BODY} bytes."
BODY_SECONDS = 30.0
BODY_RATE = 1024  # bytes per second, after the first two seconds


async def read_body(receive: Receive, announced: int) -> bytes:
    """Read the body within its limits of size, time and rate."""
    if announced > BODY:
        raise RefusedError("body_too_large", TOO_LARGE)
    loop = asyncio.get_running_loop()
    began, size = loop.time(), 0
    parts: list[bytes] = []
    while True:
        allowed = min(BODY_SECONDS, 2.0 + size / BODY_RATE)
        part, is_last = await _part(receive, began + allowed)
        size += len(part)
        if size > BODY:
            raise RefusedError("body_too_large", TOO_LARGE)
        parts.append(part)
        if is_last:
            return part if len(parts) == 1 else b"".join(parts)


async def _part(receive: Receive, until: float) -> tuple[bytes, bool]:
    """Read one part of the body, and whether it was the last one."""
    try:
        async with asyncio.timeout_at(until):
            message = await receive()
    except TimeoutError as error:
        raise RefusedError("body_timeout", "The body did not arrive in time.") from error
    if message["type"] == "http.disconnect":
        raise RefusedError("body_timeout", "The client left.")
    return bytes(message.get("body", b"")), not message.get("more_body")
