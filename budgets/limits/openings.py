"""Periods ahead: opened for the next days, and cut anew while nobody can be in them yet."""

from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from attribution.tenancy import policy
from budgets.limits import revisions
from budgets.limits.models import Budget, BudgetPeriod, PeriodKind
from budgets.limits.periods import PeriodSpec, Window, joined, year_start

MARGIN = timedelta(minutes=1)  # a period that begins within it stays as it is


def keep(at: datetime) -> int:
    """Cut anew what a change of zone or calendar moved, then open what is missing; return how many."""
    return reshape(at) + revisions.ensure_periods(at)


def reshape(at: datetime) -> int:
    """Move the bounds of periods to come to where zone and calendar now put them; return how many.

    So a change acts from the next period though that is opened already. The running one keeps its
    bounds, and the next begins where it ends.
    """
    served = revisions.organization()
    opened = _opened(at)
    moved = 0
    budgets = Budget.objects.filter(pk__in=opened, archived_at=None)
    for budget in budgets.exclude(period=PeriodKind.CUSTOM).order_by("pk"):
        spec = revisions.spec_of(budget, served)
        changes = _changes(spec, opened[budget.pk], at)
        if changes:
            moved += revisions.move_periods(budget, changes)
    if moved:
        policy.changed(served.pk)
    return moved


def _opened(at: datetime) -> dict[UUID, list[BudgetPeriod]]:
    found: dict[UUID, list[BudgetPeriod]] = defaultdict(list)
    for period in BudgetPeriod.objects.filter(ends_at__gt=at).order_by("starts_at"):
        found[period.budget_id].append(period)
    return found


def _changes(
    spec: PeriodSpec, opened: list[BudgetPeriod], at: datetime
) -> list[tuple[int, Window, datetime]]:
    """Return id, new bounds and fiscal year of the periods to come; none when all stand right."""
    fixed = [period for period in opened if period.starts_at <= at + MARGIN]
    if not fixed:
        return []
    last = fixed[-1].ends_at
    found = []
    for period in opened[len(fixed) :]:
        window = joined(spec, last, last=last)
        if window is None:
            return []
        last = window.ends_at
        found.append((period, window, year_start(spec, window)))
    if all(
        (one.starts_at, one.ends_at, one.year_starts_at) == (window.starts_at, window.ends_at, year)
        for one, window, year in found
    ):
        return []
    return [(period.pk, window, year) for period, window, year in found]
