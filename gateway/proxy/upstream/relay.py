"""The bounded queue through which a stream's bytes go from the upstream's side to the client's."""

import asyncio
import collections

QUEUE = 64 * 1024


class Relay:
    """One writer, one reader; the writer waits while the reader is 64 KB behind."""

    def __init__(self) -> None:
        """Start empty."""
        self._parts: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._is_ended = self._is_left = False

    async def put(self, data: bytes) -> None:
        """Queue bytes; wait for room, unless the reader is gone."""
        if self._is_left or not data:
            return
        self._parts.append(data)
        self._size += len(data)
        _wake(self._reader)
        while self._size > QUEUE and not self._is_left:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    def end(self) -> None:
        """Say that nothing more comes."""
        self._is_ended = True
        _wake(self._reader)

    def leave(self) -> None:
        """Say that the reader is gone."""
        self._is_left = True
        self._parts.clear()
        self._size = 0
        _wake(self._writer)

    def __aiter__(self) -> "Relay":
        return self

    async def __anext__(self) -> bytes:
        while not self._parts:
            if self._is_ended:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        data = self._parts.popleft() if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        _wake(self._writer)
        return data


def _wake(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)
