"""Last period's budgets once more: other limits by a percentage, from the next period or a day on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from uuid import UUID

from django.utils.translation import gettext

from attribution import calendar, money
from attribution.isolation.transaction import required
from attribution.tenancy.models import Organization
from budgets.limits import revisions
from budgets.limits.models import Budget, PeriodKind
from budgets.limits.periods import next_window, window_at
from budgets.plans.facts import Known, facts_of
from budgets.plans.fields import Facts
from budgets.plans.steps import Action, Problem, Step


class Rounding(StrEnum):
    """To what new limits are rounded, in USD."""

    CENT = "0.01"
    ONE = "1"
    TEN = "10"
    HUNDRED = "100"


@dataclass(frozen=True, slots=True)
class Change:
    """How limits change: by how many percent, rounded to what, from when; None: each next period."""

    percent: Decimal
    rounding: Rounding
    begins_on: date | None = None


def changed(amount: Decimal, change: Change) -> Decimal:
    """Return a limit changed by a percentage, rounded half up."""
    exact = money.EXACT.multiply(amount, 1 + change.percent / 100)
    step = Decimal(change.rounding)
    return (exact / step).quantize(Decimal(1), ROUND_HALF_UP, context=money.EXACT) * step


def steps(budgets: Iterable[Budget], change: Change, names: Known, *, at: datetime) -> list[Step]:
    """Return what a copy would do with each budget; nothing is written.

    A custom period has no next one: another budget follows where it ends.
    """
    organization = Organization.objects.get(pk=required())
    rows = sorted(budgets, key=lambda budget: budget.name)
    facts = facts_of(rows, names)
    taken = set(Budget.objects.filter(archived_at=None).values_list("name", flat=True))
    made: list[Step] = []
    for line, budget in enumerate(rows, start=1):
        own = facts[budget.pk]
        if budget.period == PeriodKind.CUSTOM:
            step = _following(line, own, change, taken)
        else:
            step = _revised(line, (budget.pk, own), change)
            begins = _begins(budget, change, organization, at)
            step.begins_at = begins.isoformat() if begins else ""
        made.append(_checked(step, own))
    return made


def _revised(line: int, own: tuple[UUID, Facts], change: Change) -> Step:
    budget_id, before = own
    limit = money.text(changed(Decimal(before["limit_usd"] or 0), change))
    action = Action.UNCHANGED if limit == before["limit_usd"] else Action.REVISE
    after = {**before, "limit_usd": limit}
    return Step(line, action, before["name"], str(budget_id), before, after)


def _following(line: int, own: Facts, change: Change, taken: set[str]) -> Step:
    """Return the step that makes the budget of the span of days after a custom one."""
    first, end = (date.fromisoformat(own[name]) for name in ("starts_on", "ends_on"))
    last = _after(first, end)
    name = _renamed(own["name"], first, end)
    limit = money.text(changed(Decimal(own["limit_usd"] or 0), change))
    days = {"starts_on": end.isoformat(), "ends_on": last.isoformat()}
    step = Step(line, Action.CREATE, name, after={**own, "name": name, "limit_usd": limit, **days})
    if name in taken:
        reason = gettext("“%(name)s” exists already.") % {"name": name}
        step.problems.append(Problem(own["name"], reason))
    taken.add(name)
    return step


def _after(first: date, end: date) -> date:
    """Return the end of the span that follows: as many months where both are firsts of a month."""
    if first.day == end.day == 1:
        months = (end.year - first.year) * 12 + end.month - first.month
        return calendar.add_months(end, months)
    return end + (end - first)


def _renamed(name: str, first: date, begins: date) -> str:
    """Return the name of the budget that follows: next year's number, or the day on which it begins."""
    if str(first.year) in name and begins.year != first.year:
        return name.replace(str(first.year), str(begins.year))
    return f"{name[:110]} ({begins.isoformat()})"


def _begins(
    budget: Budget, change: Change, organization: Organization, at: datetime
) -> datetime | None:
    """Return when a new limit begins to act; None: at once."""
    spec = revisions.spec_of(budget, organization)
    if change.begins_on is not None:
        begins = calendar.day_start(change.begins_on, spec.zone)
        return begins if begins > at else None
    window = window_at(spec, at)
    following = next_window(spec, window) if window else None
    return following.starts_at if following else None


def _checked(step: Step, own: Facts) -> Step:
    """Refuse what a copy cannot mean: a limit that rounds to nothing."""
    if own["limit_usd"] not in {"", "0"} and step.after["limit_usd"] == "0":
        reason = gettext("The new limit rounds to nothing.")
        step.problems.append(Problem(own["name"], reason))
    if step.problems:
        step.action = Action.ERROR
    return step
