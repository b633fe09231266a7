"""How answers are written to the client: never more at a time than a slow reader may hold."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.proxy.answer import Reply
from gateway.proxy.upstream.relay import QUEUE, Stall

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Act = Callable[[], None]


async def write(reply: Reply, send: Send, *, abort: Act | None = None) -> None:
    """Send a complete answer, a large one in pieces; who takes none for 30 s is cut off."""
    body = reply.body
    headers = [*reply.headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if len(body) <= QUEUE:
        await send({"type": "http.response.body", "body": body})
        return
    stall = Stall(abort)
    try:
        for at in range(0, len(body), QUEUE):
            piece, more = body[at : at + QUEUE], at + QUEUE < len(body)
            stall.begin()
            await send({"type": "http.response.body", "body": piece, "more_body": more})
            stall.end()
    finally:
        stall.close()


async def write_parts(reply: Reply, send: Send, *, leave: Act, abort: Act | None = None) -> None:
    """Send a stream; a client that takes nothing for 30 s is cut off and counts as gone."""
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    stall = Stall(abort)
    try:
        async for part in reply.parts or ():  # type: ignore[union-attr] # never called without parts
            stall.begin()
            await send({"type": "http.response.body", "body": part, "more_body": True})
            stall.end()
        await send({"type": "http.response.body", "body": b""})
    except (asyncio.CancelledError, OSError):
        leave()
        raise
    finally:
        stall.close()
