"""What was spent: sums of rollups by day, cost center and user."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db.models import F, Max, QuerySet, Sum

from attribution.ledger.models import HOURLY, Facet, Grain, Rollup
from attribution.reports import tiles
from attribution.reports.filters import FilterError, Filters
from attribution.usage.models import TOKEN_CLASSES

TOKENS = sum(
    (F(f"{name}_tokens") for name in TOKEN_CLASSES[1:]), start=F(f"{TOKEN_CLASSES[0]}_tokens")
)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything of a range in one line."""

    calls: int
    unpriced_calls: int
    estimated_calls: int
    tokens: int
    cost: Decimal
    uncertain: Decimal


@dataclass(frozen=True, slots=True)
class DayCost:
    """What a cost center spent on a local day; without a cost center: not attributed."""

    day: date
    cost_center_id: UUID | None
    cost: Decimal
    calls: int


@dataclass(frozen=True, slots=True)
class UserCost:
    """What a user spent in a cost center."""

    user: str
    cost_center_id: UUID | None
    calls: int
    unpriced_calls: int
    tokens: int
    cost: Decimal
    latency_ms: Decimal | None


def totals(filters: Filters) -> Totals:
    """Return the sums over the range."""
    sums = rows(filters, Facet.MODEL).aggregate(
        calls=Sum("calls", default=0),
        unpriced_calls=Sum("unpriced_calls", default=0),
        estimated_calls=Sum("estimated_calls", default=0),
        tokens=Sum(TOKENS, default=0),
        cost=Sum("usd_amount", default=ZERO),
        uncertain=Sum("uncertain_amount", default=ZERO),
    )
    return Totals(**{**sums, "tokens": int(sums["tokens"])})


def by_day(filters: Filters) -> list[DayCost]:
    """Return cost per local day and cost center, oldest first."""
    found = (
        rows(filters, Facet.MODEL, finest=Grain.DAY)
        .annotate(day=tiles.local_date("day", filters.range.zone))
        .values("day", "cost_center_id")
        .annotate(cost=Sum("usd_amount"), counted=Sum("calls"))
        .order_by("day", "cost_center_id")
    )
    return [
        DayCost(row["day"], row["cost_center_id"], row["cost"], row["counted"]) for row in found
    ]


def by_cost_center(days: list[DayCost]) -> dict[UUID | None, Decimal]:
    """Return the cost per cost center, largest first; the shares are of the same rows as the days."""
    sums: dict[UUID | None, Decimal] = {}
    for row in days:
        sums[row.cost_center_id] = sums.get(row.cost_center_id, ZERO) + row.cost
    return dict(sorted(sums.items(), key=lambda item: (-item[1], str(item[0]))))


def top_users(filters: Filters, *, limit: int) -> list[UserCost]:
    """Return the users that cost most, per cost center."""
    found = (
        rows(filters, Facet.USER)
        .values("value", "cost_center_id")
        .annotate(
            cost=Sum("usd_amount"),
            counted=Sum("calls"),
            unpriced=Sum("unpriced_calls"),
            tokens=Sum(TOKENS),
            timed=Sum("latency_calls"),
            waited=Sum("latency_sum_ms"),
        )
        .order_by("-cost", "-counted", "value", "cost_center_id")[:limit]
    )
    return [_user(row) for row in found]


def last_day(filters: Filters) -> date | None:
    """Return the newest local day with a call in these cost centers, whatever the range."""
    every = _within(Rollup.objects.filter(facet=Facet.MODEL, grain=Grain.DAY), filters)
    newest = every.aggregate(newest=Max("bucket"))["newest"]
    return newest.date() if newest else None


def rows(filters: Filters, facet: Facet, *, finest: Grain = Grain.MONTH) -> QuerySet[Rollup]:
    """Return the rollups of the range and the cost centers, told apart by one facet.

    No row is coarser than `finest`; with the default they may only be summed over the whole range.
    Raises FilterError where hours are needed of a facet that has none.
    """
    bounds = tiles.condition(filters.range, finest=finest)
    if facet not in HOURLY and tiles.needs_hours(filters.range, finest=finest):
        name = "interval" if finest == Grain.HOUR else "start"
        raise FilterError(f"{name}: by {facet} only whole days are kept")
    return _within(Rollup.objects.filter(bounds, facet=facet), filters)


def _user(row: Mapping[str, object]) -> UserCost:
    timed, waited = Decimal(str(row["timed"])), Decimal(str(row["waited"]))
    return UserCost(
        user=str(row["value"]),
        cost_center_id=row["cost_center_id"] if isinstance(row["cost_center_id"], UUID) else None,
        calls=int(str(row["counted"])),
        unpriced_calls=int(str(row["unpriced"])),
        tokens=int(str(row["tokens"])),
        cost=Decimal(str(row["cost"])),
        latency_ms=waited / timed if timed else None,
    )


def _within(every: QuerySet[Rollup], filters: Filters) -> QuerySet[Rollup]:
    chosen = filters.cost_center_ids
    return every if chosen is None else every.filter(cost_center_id__in=chosen)
