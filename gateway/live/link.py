"""One connection to Valkey, as the live stream uses it: ask and be answered, or listen."""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Sequence
from typing import Any

import hiredis
import redis.asyncio as redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

REACH = 2.0  # seconds to connect in
ANSWER = 2.0  # seconds for an answer
SILENCE = 10.0  # seconds without a word before one that listens asks whether Valkey is there
AWAY = (RedisError, OSError, TimeoutError)  # what it looks like when Valkey is not to be had


class Link:
    """Opened by `open`; any error of AWAY means: close it and open another one later."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> "Link":
        """Connect; raises one of AWAY."""
        # Untyped where it connects; the times that count are ours: one that listens waits long.
        pool: Any = redis.ConnectionPool.from_url(url, protocol=2, socket_timeout=None)
        connection = pool.make_connection()
        try:
            async with asyncio.timeout(REACH):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return cls(connection)

    async def close(self) -> None:
        """Hang up."""
        await self._connection.disconnect(nowait=True)

    async def ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one go and return their answers; not for a link that listens."""
        async with self._one_at_a_time, asyncio.timeout(ANSWER):
            await self.tell(commands)
            return [await self._connection.read_response(disable_decoding=True) for _ in commands]

    async def tell(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send commands whose answers `hear` returns."""
        if not self._connection.is_connected:  # the client would connect anew, without its channels
            raise ConnectionError("the connection is closed")
        packed = b"".join(bytes(hiredis.pack_command(command)) for command in commands)
        async with asyncio.timeout(ANSWER):
            await self._connection.send_packed_command(packed, check_health=False)

    async def hear(self) -> tuple[bytes, bytes, Any]:
        """Return the next word of a link that listens: its kind, its channel, what it says.

        Raises TimeoutError, one of AWAY, when Valkey no longer answers.
        """
        is_asked = False
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    word = await self._connection.read_response(
                        disable_decoding=True, disconnect_on_error=False
                    )
            except TimeoutError:
                if is_asked:
                    raise
                is_asked = True
                await self.tell([("PING",)])
                continue
            is_asked = False
            if isinstance(word, list) and len(word) == 3:  # a pong is shorter, or no list at all
                return word[0], word[1], word[2]


def begin(*works: Coroutine[Any, Any, None]) -> "list[asyncio.Task[None]]":
    """Start what goes on until `end`; a fault of ours that ends it before is logged."""
    tasks = [asyncio.create_task(work) for work in works]
    for task in tasks:
        task.add_done_callback(_ended)
    return tasks


async def end(tasks: Collection["asyncio.Task[None]"]) -> None:
    """Cancel tasks until they have ended: the client swallows what comes while it connects."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=0.2)


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("live.failed", exc_info=error)
