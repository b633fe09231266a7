"""`X-Budget-Fit: clamp`: an answer is shortened to what its hard budgets have left, then admitted."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from attribution import money as amounts
from attribution.prices.pricing import Rates
from gateway.proxy import bound
from gateway.proxy.answer import RefusedError
from gateway.proxy.bound import Bound
from gateway.proxy.bridge.catalog import HARD, Coverage
from gateway.proxy.bridge.lookup import Lookup
from gateway.proxy.bridge.money import Money, Reservation

HEADER = b"x-budget-fit"
CLAMP = b"clamp"
LONGEST = 4.0  # seconds: an id older than five is stale
PAUSE = 0.1  # seconds between two looks; a settle of this process wakes earlier


@dataclass(frozen=True, slots=True)
class Fit:
    """What a call may be shortened for."""

    budgets: frozenset[str]  # that it may be fitted into
    ceiling: Rates
    wait_ms: int  # for calls under way


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a call, and the bound that it was asked with."""

    outcome: str
    detail: Mapping[str, Any]
    bounded: Bound


def wanted(headers: Mapping[bytes, bytes], coverage: Coverage) -> frozenset[str]:
    """Return the hard budgets that a call may be fitted into: by its header all, else their own say.

    Raises RefusedError for a header that means nothing.
    """
    said = headers.get(HEADER)
    if said is not None and said.strip().lower() != CLAMP:
        message = "X-Budget-Fit is `clamp`, or is left out."
        raise RefusedError("invalid_request", message, param="X-Budget-Fit")
    hard = (budget for budget in coverage.budgets if budget.enforcement in HARD)
    return frozenset(b.id for b in hard if said is not None or b.is_clamped)


async def admit(
    money: Money,
    lookup: Lookup,
    call: Reservation,
    asked: Bound,
    fit: Fit,
    is_left: Callable[[], bool],
) -> Admission:
    """Ask for admission of the longest answer that fits, or of the shortest one, which may be refused.

    What is left is looked up, the admission decides: where another call was faster, it is looked
    up again, as long as calls under way may leave room and the budgets let one wait.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + min(LONGEST, fit.wait_ms / 1000)
    least = bound.least(asked)
    while True:
        room, firm = await _room(lookup, call, fit)
        bounded = bound.fitted(asked, fit.ceiling, room)
        if bounded is None and bound.hold(least, fit.ceiling) > firm:
            break
        if bounded is not None:
            admission = await _ask(money, call, bounded, fit, is_last=False)
            if admission.outcome != "budget_reserved":
                return admission
        if loop.time() >= until or is_left():
            break
        await money.room(PAUSE)
    return await _ask(money, call, least, fit, is_last=True)


async def _ask(
    money: Money, call: Reservation, bounded: Bound, fit: Fit, *, is_last: bool
) -> Admission:
    """Ask once; a refusal for the sake of open calls is recorded only when it is the last one."""
    call.amount = amounts.text(bound.hold(bounded, fit.ceiling))
    call.wait = not is_last
    outcome, detail = await money.reserve(call)
    return Admission(outcome, detail, bounded)


async def _room(lookup: Lookup, call: Reservation, fit: Fit) -> tuple[Decimal, Decimal]:
    """Return what the tightest budget has left, with and without what open calls hold."""
    rows = await lookup.room(call.organization_id, call.periods)
    found = [row for row in rows if row.budget_id in fit.budgets]
    if not found:
        return Decimal("Infinity"), Decimal("Infinity")
    return min(Decimal(row.room) for row in found), min(Decimal(row.firm) for row in found)
