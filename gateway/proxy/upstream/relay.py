"""How a stream's bytes go from the upstream's side to the client's: a bounded queue, bounded waits."""

import asyncio
import collections
from collections.abc import Callable

QUEUE = 64 * 1024
STALL = 30.0  # seconds that a client may leave a write waiting


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


class Stall:
    """Cancels its task when one write waits for 30 s; one timer for a whole stream, not one a part."""

    def __init__(self, abort: Callable[[], None] | None = None) -> None:
        """Watch the current task; `abort` ends a connection on which nobody reads what is left."""
        self._abort = abort
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._since: float | None = None
        self._timer = self._loop.call_later(STALL, self._check)

    def begin(self) -> None:
        """Note that a write begins."""
        self._since = self._loop.time()

    def end(self) -> None:
        """Note that it went through."""
        self._since = None

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _check(self) -> None:
        waited = 0.0 if self._since is None else self._loop.time() - self._since
        if waited >= STALL and self._task is not None:
            if self._abort is not None:
                self._abort()
            self._task.cancel()
        else:
            self._timer = self._loop.call_later(max(STALL - waited, 0.01), self._check)


def _wake(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)
