"""Waiting for room in a budget: who meets only open calls waits in line, first come first served."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gateway.proxy.bridge.money import Money, Reservation

LONGEST = 4.0  # seconds: an id older than five is stale
PAUSE = 0.1  # seconds between two questions; a settle of this process wakes earlier


class Lines:
    """The lines of this process by budget."""

    def __init__(self, money: Money) -> None:
        """Ask `money`."""
        self._money = money
        self._lines: dict[str, asyncio.Lock] = {}

    async def wait(
        self, call: Reservation, detail: Mapping[str, Any], is_left: Callable[[], bool]
    ) -> tuple[str, Mapping[str, Any]]:
        """Ask again until open calls made room, at most as long as the budget says.

        The last question is asked without `wait`, so that the refusal is recorded. No question is
        cut by a time-out: a grant that nobody takes would be given back too late.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + min(LONGEST, detail["budget"]["wait_ms"] / 1000)
        line = self._lines.setdefault(detail["budget"]["id"], asyncio.Lock())
        try:
            async with asyncio.timeout_at(until):
                await line.acquire()
        except TimeoutError:
            call.wait = False
            return await self._money.reserve(call)
        try:
            while True:
                call.wait = loop.time() < until and not is_left()
                outcome, found = await self._money.reserve(call)
                if outcome != "budget_reserved" or not call.wait:
                    return outcome, found
                await self._money.room(min(PAUSE, max(0.0, until - loop.time())))
        finally:
            line.release()
