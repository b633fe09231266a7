"""Natural micro-batching: a batch is whatever queued while the previous one was in flight.

No timer: idle, an item travels alone; under load one commit carries hundreds. After a lost
connection the same items are asked again, because the functions behind are idempotent by id.
"""

import asyncio
import collections
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from gateway.proxy.bridge import pool
from gateway.proxy.bridge.pool import LedgerUnavailableError

logger = logging.getLogger(__name__)

MOST = 32  # items of one batch: larger ones let gateway and database wait for each other (+35 % measured)
PAUSE = 0.05  # seconds before a lost connection is tried again, doubled up to the longest
LONGEST = 1.0
CROSSED = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)  # others went first
HALVED = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)

Answer = tuple[str, Mapping[str, Any]]


class Item(Protocol):
    """What travels: anything that msgspec writes as JSON and that has an id of its own."""

    @property
    def id(self) -> str:
        """Return the id by which the answer is found."""


class BadItemError(Exception):
    """PostgreSQL refused this one item; the others of its batch went through."""


Waiting = tuple[Item, "asyncio.Future[Answer]"]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the owner of a batcher does about its items."""

    wrap: Callable[[Sequence[Item]], Any]  # makes the question of a batch
    on_batch: Callable[[Sequence[Item]], None]  # before it is asked
    on_done: Callable[[Sequence[Item]], None]  # once it is answered
    give_back: Callable[[Item], None]  # for an answer that nobody waits for


class Batcher:
    """One queue, one connection, one task. A settle's room is infinite: truth is never refused."""

    def __init__(self, dsn: str, sql: str, hooks: Hooks, *, room: float = math.inf) -> None:
        """Ask `sql` with batches of at most `room` waiting items."""
        self._dsn, self._sql, self._hooks, self._room = dsn, sql, hooks, room
        self._queue: collections.deque[Waiting] = collections.deque()
        self._wake = asyncio.Event()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._down_since: float | None = None
        self.idle = asyncio.Event()
        self.idle.set()
        self.commit_ms: float | None = None  # of the latest batch

    @property
    def is_down(self) -> bool:
        """Tell whether the connection is lost and not yet back: the breaker of admissions."""
        return self._down_since is not None

    def __len__(self) -> int:
        return len(self._queue)

    async def submit(self, item: Item, timeout: float | None) -> Answer:  # noqa: ASYNC109  the wait belongs to the queue
        """Queue an item and wait for its answer; TimeoutError when there is none in time.

        An answer that comes too late, or for a caller who is gone, is given back.
        """
        future = self.put(item)
        loop = asyncio.get_running_loop()
        timer = None if timeout is None else loop.call_later(timeout, _expire, future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self._hooks.give_back(item)  # answered in the same instant
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def put(self, item: Item) -> "asyncio.Future[Answer]":
        """Queue an item; its future holds the answer."""
        if len(self._queue) >= self._room:
            raise LedgerUnavailableError("too many calls wait for the ledger")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        self.idle.clear()
        self._wake.set()
        return future

    async def run(self) -> None:
        """Flush batch after batch until cancelled."""
        try:
            while True:
                await self._wake.wait()
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), MOST))]
                batch = [entry for entry in taken if not entry[1].done()]
                if batch and self._is_announced(batch):
                    await self._flush(batch)
                if not self._queue:
                    self._wake.clear()
                    self.idle.set()
        finally:
            if self._connection is not None:
                await self._connection.close()

    def _is_announced(self, batch: list[Waiting]) -> bool:
        """Show the batch to its owner; when it cannot be noted, nothing of it is asked."""
        try:
            self._hooks.on_batch([item for item, _ in batch])
        except OSError:
            for _, future in batch:
                future.set_exception(LedgerUnavailableError("the call cannot be noted"))
            return False
        return True

    async def _flush(self, batch: list[Waiting]) -> None:
        """Ask for a batch until it is answered; isolate what PostgreSQL refuses by halving."""
        pause, answers = PAUSE, None
        while answers is None:
            try:
                answers = await self._asked([item for item, _ in batch])
            except psycopg.OperationalError as error:
                if isinstance(error, HALVED):
                    await self._halve(batch, error)
                    return
                self._lost(error)
                await asyncio.sleep(pause)
                pause = min(LONGEST, pause * 2)
            except psycopg.Error as error:
                await self._halve(batch, error)
                return
        self._found()
        self._hooks.on_done([item for item, _ in batch])
        for item, future in batch:
            if future.done():
                self._hooks.give_back(item)
            elif item.id in answers:
                future.set_result(answers[item.id])
            else:
                future.set_exception(BadItemError("no answer"))

    async def _halve(self, batch: list[Waiting], error: psycopg.Error) -> None:
        """Try both halves of a refused batch apart, down to the item at fault."""
        self._found()  # who refuses is there
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._flush(batch[:middle])
            await self._flush(batch[middle:])
            return
        [(item, future)] = batch
        if isinstance(error, HALVED):
            reason: Exception = LedgerUnavailableError("rows of this organization are locked")
        else:
            logger.error("ledger.item_refused", extra={"call": item.id, "state": error.sqlstate})
            reason = BadItemError(error.sqlstate)
        if future.done():
            self._hooks.give_back(item)
        else:
            future.set_exception(reason)

    async def _asked(self, items: Sequence[Item]) -> dict[str, Answer]:
        """Ask once; the answer is complete only after the commit."""
        if self._connection is None or self._connection.closed:
            self._connection = await pool.connect(self._dsn)
        began = time.perf_counter()
        question = pool.encode(self._hooks.wrap(items)).decode()
        cursor = await self._connection.execute(self._sql, [question])
        rows = await cursor.fetchall()
        self.commit_ms = (time.perf_counter() - began) * 1000
        return {call: (outcome, detail or {}) for call, outcome, detail in rows}

    def _lost(self, error: psycopg.Error) -> None:
        if self._down_since is None and not isinstance(error, CROSSED):
            self._down_since = time.monotonic()
            logger.error("ledger.away", extra={"state": error.sqlstate})

    def _found(self) -> None:
        if self._down_since is not None:
            away = round(time.monotonic() - self._down_since, 3)
            logger.warning("ledger.back", extra={"seconds": away})
            self._down_since = None


def _expire(future: "asyncio.Future[Answer]") -> None:
    """End the wait for an answer; whoever flushes the item then gives its grant back."""
    if not future.done():
        future.set_exception(TimeoutError())
