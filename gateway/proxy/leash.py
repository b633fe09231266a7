"""An elastic call's hold: it grows part by part while the answer comes, or the answer is cut."""

import asyncio
from typing import Protocol

from attribution import money as amounts
from attribution.prices.rates import Rates
from budgets.limits.elastic import AHEAD, STEP
from gateway.proxy import answer, bound
from gateway.proxy.bridge.batch import Answer, BadItemError
from gateway.proxy.bridge.money import PATIENCE, Extension, Money
from gateway.proxy.bridge.pool import LedgerUnavailableError
from gateway.proxy.plan import Plan
from gateway.proxy.protocols.wire import Seen

LOST = "The ledger is away, and no more is held for this call: the answer was cut."


class Desk(Protocol):
    """Who is asked."""

    money: Money


class Leash:
    """How far an answer may go: `tokens` are held; the next part is asked for before they are used."""

    def __init__(self, desk: Desk, plan: Plan, ceiling: Rates) -> None:
        """Begin with what the admission held."""
        self._money, self._plan, self._ceiling = desk.money, plan, ceiling
        self._most = plan.bounded.output_tokens
        self.tokens = min(STEP, self._most)
        self._asked: asyncio.Future[Answer] | None = None
        self._is_refused = False  # this part, once; it is asked for again where it is needed

    async def check(self, seen: Seen) -> str:
        """Return why the answer must be cut here; empty while what came is held.

        Waits for the ledger only where the count has reached what is held.
        """
        count, code = seen.visible_output(), ""
        if self._asked is not None and self._asked.done():
            code = await self._learned()
            self._is_refused = bool(code)
        is_near = count + AHEAD >= self.tokens < self._most
        if is_near and self._asked is None and not self._is_refused:
            self._ask(wait=True)
        while count >= self.tokens < self._most:
            if self._asked is None:
                self._ask(wait=False)
            if code := await self._learned():
                if self._is_refused:
                    return code
                self._is_refused = True
        return ""

    def _ask(self, *, wait: bool) -> None:
        """Ask for the next part; `wait`: a refusal is not the last word."""
        bounded = bound.first(self._plan.bounded, self.tokens + STEP)
        hold = amounts.text(bound.hold(bounded, self._ceiling))
        self._asked = self._money.extend(Extension(self._plan.id, hold, wait=wait))

    async def _learned(self) -> str:
        """Take the answer of the ledger; return why there is no more, empty when there is."""
        asked, self._asked = self._asked, None
        assert asked is not None, "nothing was asked"  # noqa: S101
        try:
            outcome, detail = await asyncio.wait_for(asyncio.shield(asked), PATIENCE)
        except (TimeoutError, LedgerUnavailableError, BadItemError):
            outcome, detail = "stale", {}
        if outcome == "granted":
            self.tokens, self._is_refused = min(self.tokens + STEP, self._most), False
            return ""
        if outcome == "stale":
            self._plan.cut_by, self._is_refused = LOST, True
            return "ledger_unavailable"
        said = answer.over_budget(outcome, detail, is_amount_hidden=True).message
        self._plan.cut_by = f"{said} The answer was cut here."
        return outcome
