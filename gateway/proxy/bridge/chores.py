"""What a gateway process does besides calls: it beats, sweeps, and replays dead processes' journals."""

import asyncio
import logging
import socket
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.proxy.bridge import journal as journals
from gateway.proxy.bridge.journal import Journal
from gateway.proxy.bridge.lookup import Lookup
from gateway.proxy.bridge.pool import LedgerUnavailableError, QuestionError

logger = logging.getLogger(__name__)

BEAT = 5.0
SWEEP = 2.0
REPLAY = 500  # calls of a dead process settled at a time


class Chores:
    """The chores of one process; a missed one is done at its next time."""

    def __init__(self, lookup: Lookup, *, folder: Path, role: str, version: str) -> None:
        """Draw the boot id: new at every start, so that a dead process never returns."""
        self.worker = str(uuid.uuid4())
        self.is_draining = False
        self.journal = Journal(folder, self.worker)
        self._lookup, self._folder, self._role, self._version = lookup, folder, role, version
        self._live: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopped = False

    async def start(self) -> None:
        """Beat once, so that ids carry the database's time, and begin."""
        await self._try(self.beat)
        for seconds, work in ((BEAT, self.beat), (SWEEP, self.sweep), (BEAT, self.replay)):
            self.add(seconds, work)

    def add(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do one more chore from now on, as often as this; a fault in it ends one turn only."""
        if self._is_stopped:
            return
        task = asyncio.create_task(self._every(seconds, work))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, seconds, work))

    def _ended(
        self, task: "asyncio.Task[None]", seconds: float, work: Callable[[], Awaitable[None]]
    ) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            name = getattr(work, "__name__", "")
            logger.error("gateway.chore_failed", extra={"chore": name}, exc_info=error)
            asyncio.get_running_loop().call_later(seconds, self.add, seconds, work)

    async def drain(self) -> None:
        """Tell that this process takes no new calls."""
        self.is_draining = True
        await self._try(self.beat)

    async def stop(self) -> None:
        """End, and leave the journal to the next process if it is still needed."""
        self._is_stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.journal.close()

    async def beat(self) -> None:
        """Say that this process lives and take the database's clock."""
        self.journal.probe()
        worker = {
            "id": self.worker,
            "role": self._role,
            "host": socket.gethostname(),
            "version": self._version,
            "is_draining": self.is_draining,
        }
        self._live = []  # whoever cannot beat must not sweep: it would not know who lives
        self._live = await self._lookup.beat(worker)

    async def sweep(self) -> None:
        """Turn the holds of dead processes into uncertain charges."""
        if self._live and (expired := await self._lookup.expire(self._live)):
            logger.warning("holds.expired", extra={"calls": expired})

    async def replay(self) -> None:
        """Tell the ledger what dead processes of this folder knew."""
        for found in journals.dead(self._folder):
            items = found.items()
            try:
                for at in range(0, len(items), REPLAY):
                    await self._lookup.replay(items[at : at + REPLAY])
            except LedgerUnavailableError:
                found.leave()
                raise
            found.delete()
            if items:
                logger.warning("journal.replayed", extra={"calls": len(items)})

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._try(work)
            await asyncio.sleep(seconds)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (LedgerUnavailableError, QuestionError):
            logger.warning("gateway.chore_missed", extra={"chore": work.__name__})
