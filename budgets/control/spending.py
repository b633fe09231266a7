"""What spent a budget: its calls by model, key, user, feature, cost center; from rollups where they can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Sum
from django.utils.translation import gettext

from attribution.dashboards.charts import Column, Kind, Table
from attribution.reports import breakdown
from attribution.reports.breakdown import Question
from attribution.reports.filters import FilterError, Filters, Range, Span
from attribution.tenancy import access
from attribution.usage.models import CallState, UsageRecord
from budgets.control.structure import Structure
from budgets.forecasts import series
from budgets.limits.models import Budget, Scope
from budgets.limits.standing import Standing

ZERO = Decimal(0)
MOST = 10
DIMENSIONS = {  # dimension -> the column of calls that says the same
    "model": "model_billed",
    "api_key": "api_key_id",
    "user": "user_id",
    "feature": "feature",
    "cost_center": "cost_center_id",
}
FILTERED = {"providers": "provider", "features": "feature", "environments": "environment"}


@dataclass(frozen=True, slots=True)
class Spent:
    """What the calls of one value cost in the period."""

    value: Any
    calls: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Window:
    """A budget's period, with the days and the zone that it is cut by."""

    budget: Budget
    standing: Standing
    days: Range
    home: ZoneInfo  # the organization's zone

    @property
    def zone(self) -> ZoneInfo:
        """Return the zone that the budget cuts its days by."""
        return self.days.zone


def by(dimension: str, window: Window) -> list[Spent]:
    """Return what each value of a dimension cost, the dearest first."""
    values = rolled(window.budget)
    if values is not None:
        try:
            return _from_rollups(dimension, values, window)
        except FilterError:  # rollups cannot tell these two apart, or not within a day
            pass
    return _from_calls(dimension, window)


def rolled(budget: Budget) -> Mapping[str, tuple[Any, ...]] | None:
    """Return which rollup rows are a budget's; None for names of models, which only calls have."""
    if "models" in budget.filters:
        return None
    found: dict[str, tuple[Any, ...]] = {
        name: tuple(budget.filters[given])
        for given, name in FILTERED.items()
        if given in budget.filters
    }
    if budget.scope == Scope.COST_CENTER:
        found["cost_center"] = (budget.scope_id,)
    elif budget.scope == Scope.DEPARTMENT and budget.scope_id:
        found["department"] = tuple(access.subtree(budget.scope_id))
    elif budget.scope == Scope.API_KEY:
        found["api_key"] = (str(budget.scope_id),)
    elif budget.scope == Scope.USER:
        found["user"] = (budget.scope_value,)
    return found


def table(dimension: str, rows: Sequence[Spent], structure: Structure, *, most: int = 0) -> Table:
    """Return the rows as a table; those beyond `most` are one row, and the total is of all."""
    total = sum((row.cost for row in rows), start=ZERO)
    shown = list(rows[:most] if most and len(rows) > most else rows)
    cells = [(named(dimension, row.value, structure), row.calls, row.cost) for row in shown]
    rest = rows[len(shown) :]
    if rest:
        cost = sum((row.cost for row in rest), start=ZERO)
        cells.append((gettext("Other"), sum(row.calls for row in rest), cost))
    return Table(
        (
            Column(dimension, heading(dimension)),
            Column("calls", gettext("Calls"), Kind.COUNT),
            Column("cost_usd", gettext("Cost (USD)"), Kind.MONEY),
            Column("share", gettext("Share"), Kind.PERCENT),
        ),
        tuple((*cell, cell[2] / total if total else None) for cell in cells),
        (None, sum(row.calls for row in rows), total, Decimal(1) if total else None),
    )


def heading(dimension: str) -> str:
    """Return what a dimension is called."""
    return {
        "model": gettext("Model"),
        "api_key": gettext("API key"),
        "user": gettext("User"),
        "feature": gettext("Feature"),
        "cost_center": gettext("Cost center"),
    }[dimension]


def named(dimension: str, value: Any, structure: Structure) -> str:
    """Name a value as people know it."""
    if value in {None, ""}:
        return gettext("not named")
    if dimension == "cost_center":
        center = structure.centers.get(value)
        return center.code if center else gettext("not shown to you")
    if dimension == "api_key":
        held = structure.keys.get(UUID(str(value)))
        return held.program.name if held else gettext("not shown to you")
    return str(value)


def _from_rollups(
    dimension: str, values: Mapping[str, tuple[Any, ...]], window: Window
) -> list[Spent]:
    filters = Filters(_range(window))
    rows = breakdown.read(filters, Question(group_by=(dimension,), values=values))
    return [Spent(row.group[0], row.sums.calls, row.sums.cost) for row in rows]


def _range(window: Window) -> Range:
    """Return the period as reports take it: whole days of the organization, else two instants."""
    if window.zone == window.home:
        return window.days
    days, now = window.days, window.standing
    return Span(days.name, days.first, days.end, days.zone, now.starts_at, now.ends_at)


def _from_calls(dimension: str, window: Window) -> list[Spent]:
    now = window.standing
    found = series.source(window.budget, zone=window.zone, home=window.home)
    rows = (
        UsageRecord.objects.between(now.starts_at, now.ends_at)
        .filter(found.calls, state=CallState.SETTLED)
        .order_by()
        .values(told=F(DIMENSIONS[dimension]))
        .annotate(calls=Count("pk"), cost=Sum("cost", default=ZERO))
        .order_by("-cost", "-calls")
    )
    return [Spent(row["told"], row["calls"], row["cost"]) for row in rows]
