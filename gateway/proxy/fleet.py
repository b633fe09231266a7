"""The calls under way in this process: started, strongly held, drained at the end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from gateway.live.broadcast import Broadcast
from gateway.proxy import throttle, told
from gateway.proxy.bridge.line import Lines
from gateway.proxy.bridge.lookup import Lookup
from gateway.proxy.bridge.money import Money, Settlement
from gateway.proxy.bridge.pool import LedgerUnavailableError, QuestionError
from gateway.proxy.plan import Plan
from gateway.proxy.pump import Pump
from gateway.proxy.rate_limits.limits import RateLimits
from gateway.proxy.upstream.sending import Courier

logger = logging.getLogger(__name__)

NOTES = 256  # failed tries that are written at a time


class Pumps:
    """The calls under way, strongly held, and what they share."""

    def __init__(self, money: Money, lookup: Lookup, courier: Courier, limits: RateLimits) -> None:
        """Start without calls."""
        self.money, self.lookup, self.courier, self.limits = money, lookup, courier, limits
        self.lines = Lines(money)
        self.live: Broadcast | None = None
        self._open: set[Pump] = set()
        self._notes: asyncio.Task[None] | None = None
        self._unnoted: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._open)

    @property
    def left(self) -> int:
        """Return how many calls under way have lost their client."""
        return sum(pump.is_left for pump in self._open)

    @property
    def untold(self) -> int:
        """Return how many settled calls the live stream could not be told of."""
        return self.live.dropped if self.live is not None else 0

    def start(self, plan: Plan, renew: Callable[[], Awaitable[Plan]]) -> Pump:
        """Start the pump of a call, detached from the client's task."""
        pump = Pump(self, plan, renew)
        pump.task = asyncio.get_running_loop().create_task(pump.run())
        self._open.add(pump)
        pump.task.add_done_callback(lambda task: self._ended(pump, task))
        return pump

    @property
    def organizations(self) -> set[str]:
        """Return whose calls are under way."""
        return {pump.plan.organization_id for pump in self._open}

    def cut(self, organization_id: str, is_cut: Callable[[str, str | None], bool]) -> int:
        """Cut the calls under way that `is_cut` names by key and cost center; return how many."""
        found = [p for p in self._open if p.plan.organization_id == organization_id]
        found = [
            p
            for p in found
            if is_cut(p.plan.reservation.api_key_id, p.plan.reservation.cost_center_id)
        ]
        for pump in found:
            pump.cut()
        return len(found)

    async def stop(self, *, within: float) -> None:
        """Let calls under way finish; settle the rest as if their clients had left."""
        tasks = [pump.task for pump in self._open if pump.task]
        if tasks:
            await asyncio.wait(tasks, timeout=within)
        left = [(pump, pump.task) for pump in self._open if pump.task]
        for pump, _ in left:
            pump.leave(at_once=True)
        if left:
            await asyncio.wait([task for _, task in left], timeout=3)

    def note(self, failed: list[dict[str, Any]]) -> None:
        """Have failed tries written behind the calls."""
        self._unnoted += failed
        if self._notes is None or self._notes.done():
            self._notes = asyncio.get_running_loop().create_task(self._note_all())

    def tell(self, plan: Plan, settlement: Settlement) -> None:
        """Tell who listens of a settled call; waits for nothing."""
        if self.live is not None and settlement.state == "settled":
            make = partial(told.event, plan.reservation, settlement, plan.center, plan.ms)
            self.live.tell(plan.organization_id, make)

    async def _note_all(self) -> None:
        """Write what there is to note, many at a time: in a storm every call has some."""
        while self._unnoted:
            batch, self._unnoted = self._unnoted[:NOTES], self._unnoted[NOTES:]
            try:
                await self.lookup.attempts(batch)
            except (LedgerUnavailableError, QuestionError):
                logger.warning("attempts.lost", extra={"tries": len(batch)})

    def _ended(self, pump: Pump, task: "asyncio.Task[None]") -> None:
        self._open.discard(pump)
        throttle.end(self.limits, pump.plan.verdict, pump.used)
        if not task.cancelled() and (error := task.exception()):
            logger.error("pump.failed", extra={"call": pump.plan.id}, exc_info=error)
