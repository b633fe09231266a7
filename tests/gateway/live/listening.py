"""Readers of the live stream, and a gateway's word to them."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.live.broadcast import Broadcast
from gateway.live.stream import PATH, Live
from tests.gateway.live.test_events import make_event
from tests.gateway.running import House

WITHIN = 5.0  # seconds: generous, the machine is shared


@dataclass
class Station:
    """A running live stream, and the organization whose calls it tells of."""

    house: House
    url: str
    live: Live
    broadcast: Broadcast

    def settle(self, *, organization_id: Any = None, **facts: Any) -> None:
        """Tell of a settled call, as a gateway does."""
        owner = str(organization_id or self.house.id)
        self.broadcast.tell(owner, lambda: make_event(**facts))

    def socket(self, **arguments: Any) -> connect:
        """Open a WebSocket."""
        return connect(f"{self.url.replace('http', 'ws', 1)}{PATH}", compression=None, **arguments)

    @contextlib.asynccontextmanager
    async def listening(self, **hello: Any) -> AsyncIterator[ClientConnection]:
        """Listen as the program of the house, from when the stream is open."""
        async with self.socket() as socket:
            message = {"api_key": self.house.token, "greet": True} | hello
            await socket.send(json.dumps(message))
            assert await said(socket) == {"event": "open"}
            yield socket

    @contextlib.asynccontextmanager
    async def reading(
        self, query: str = "", headers: dict[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        """Listen over server-sent events."""
        headers = headers or {"Authorization": f"Bearer {self.house.token}"}
        async with (
            httpx.AsyncClient(timeout=WITHIN) as client,
            client.stream("GET", f"{self.url}{PATH}{query}", headers=headers) as answer,
        ):
            if answer.status_code != 200:
                await answer.aread()
            answer.raise_for_status()
            yield parsed(answer)


async def said(socket: ClientConnection, within: float = WITHIN) -> Any:
    """Return the next message."""
    async with asyncio.timeout(within):
        return json.loads(await socket.recv())


async def ending(socket: ClientConnection, within: float = WITHIN) -> tuple[str, int]:
    """Return the code of the last message and the number the socket was closed with."""
    last = await said(socket, within)
    with pytest.raises(ConnectionClosed) as closed:
        await said(socket, within)
    assert closed.value.rcvd is not None
    assert last["event"] == "error"
    return last["error"]["code"], closed.value.rcvd.code


async def is_silent(socket: ClientConnection, seconds: float = 0.4) -> bool:
    """Say whether nothing is said for a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await socket.recv()
            return False
    return True


async def parsed(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Yield the name and the data of each event; comments are skipped."""
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def until(condition: Any, within: float = WITHIN) -> None:
    """Wait until something holds."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it never came to hold"
        await asyncio.sleep(0.02)
