"""`X-Budget-Fit: clamp`: an answer is shortened to what its hard budgets have left, then admitted."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Protocol

from attribution import money as amounts
from gateway.proxy import bound
from gateway.proxy.answer import RefusedError
from gateway.proxy.bound import Bound
from gateway.proxy.bridge.catalog import HARD, Coverage
from gateway.proxy.bridge.line import Lines
from gateway.proxy.bridge.lookup import Lookup
from gateway.proxy.bridge.money import Money
from gateway.proxy.plan import Fit, Plan

HEADER = b"x-budget-fit"
CLAMP = b"clamp"
LONGEST = 4.0  # seconds: an id older than five is stale
ENDLESS = Decimal("Infinity")
PAUSE = 0.1  # seconds between two looks; a settle of this process wakes earlier

Answer = tuple[str, Mapping[str, Any]]


class Desk(Protocol):
    """Who is asked."""

    money: Money
    lookup: Lookup
    lines: Lines


def wanted(headers: Mapping[bytes, bytes], coverage: Coverage) -> dict[str, int]:
    """Return the hard budgets that a call may be fitted into, with the wait of each.

    Its header names all of them, else each has its own say.

    Raises RefusedError for a header that means nothing.
    """
    said = headers.get(HEADER)
    if said is not None and said.strip().lower() != CLAMP:
        message = "X-Budget-Fit is `clamp`, or is left out."
        raise RefusedError("invalid_request", message, param="X-Budget-Fit")
    return {
        budget.id: budget.wait_ms
        for budget in coverage.budgets
        if (said is not None or budget.is_clamped) and budget.enforcement in HARD
    }


async def admit(desk: Desk, plan: Plan, is_left: Callable[[], bool]) -> Answer:
    """Ask for admission; wait in line where only open calls are in the way.

    A call that may be shortened asks for the longest answer that fits, or else for the shortest one,
    which may be refused. What is left is looked up, the admission decides: where another call was
    faster, it is looked up again, as long as calls under way may leave room and the budgets let
    one wait.
    """
    call, asked = plan.reservation, plan.bounded
    if plan.fit is None:
        outcome, detail = await desk.money.reserve(call)
        if outcome == "budget_reserved" and call.wait:
            return await desk.lines.wait(call, detail, is_left)
        return outcome, detail
    answer = await _fitted(desk, plan, plan.fit, is_left)
    if answer is None:
        call.wait = False
        answer = await desk.money.reserve(call)
    if answer[0] == "granted":
        _note(plan, asked)
    return answer


async def _fitted(desk: Desk, plan: Plan, fit: Fit, is_left: Callable[[], bool]) -> Answer | None:
    """Look, shorten and ask until there is an answer; None when the plan may be asked a last time."""
    asked = plan.bounded
    least = bound.least(asked)
    loop = asyncio.get_running_loop()
    began, until = loop.time(), loop.time() + LONGEST
    for look in itertools.count():
        room, firm, wait_ms = await _room(desk.lookup, plan, fit, least)
        bounded = bound.fitted(asked, fit.ceiling, room)
        _shorten(plan, fit, bounded or least)
        if plan.hold > firm:
            return None
        if bounded is not None:
            plan.reservation.wait = True  # refused for open calls, it leaves no record yet
            answer = await desk.money.reserve(plan.reservation)
            if answer[0] != "budget_reserved":
                return answer
            wait_ms = min(wait_ms, answer[1]["budget"]["wait_ms"])
        until = min(until, began + wait_ms / 1000)  # of all that block, the one that waits least
        if look or bounded is None:  # after the first race, look again at once
            if loop.time() >= until or is_left():
                return None
            await desk.money.room(PAUSE)
    return None


def _shorten(plan: Plan, fit: Fit, bounded: Bound) -> None:
    """Let a call ask for less."""
    plan.bounded, plan.hold = bounded, bound.hold(bounded, fit.ceiling)
    plan.reservation.amount = amounts.text(plan.hold)


def _note(plan: Plan, asked: Bound) -> None:
    """Send the lower limit too, and let the answer tell it."""
    most = plan.bounded.max_output
    if most is not None and plan.bounded.output_tokens < asked.output_tokens:
        plan.max_output = most
        plan.notes.append((HEADER, b"max_tokens=%d" % most))


async def _room(lookup: Lookup, plan: Plan, fit: Fit, least: Bound) -> tuple[Decimal, Decimal, int]:
    """Return what the tightest budget has left, with and without what open calls hold; the wait.

    That is the smallest of the budgets in which not even the shortest answer fits.
    """
    rows = await lookup.standing(plan.organization_id, list(fit.budgets), plan.ms)
    needed = bound.hold(least, fit.ceiling)
    firm = {
        row.id: Decimal(row.limit) - Decimal(row.spent) - Decimal(row.uncertain) for row in rows
    }
    room = {row.id: firm[row.id] - Decimal(row.held) for row in rows}
    waits = [fit.budgets[budget] for budget, left in room.items() if left < needed]
    tightest = min(room.values(), default=ENDLESS)
    return tightest, min(firm.values(), default=ENDLESS), min(waits, default=fit.wait_ms)
