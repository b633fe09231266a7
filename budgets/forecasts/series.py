"""What a budget's scope cost, day by day and in the last hours: from rollups where they can tell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, F, Q, QuerySet, Sum, When
from django.db.models.expressions import Combinable
from django.db.models.functions import TruncDate

from attribution import calendar
from attribution.ledger.models import HOURLY, Facet, Grain, Rollup
from attribution.tenancy import access
from attribution.usage.models import CallState, UsageRecord
from budgets.forecasts.methods import ZERO, History
from budgets.limits.models import Budget, Scope

LONGEST = timedelta(
    days=400
)  # history that is looked at: a year, and what a quarter's backtest adds
LONGEST_BY_CALL = timedelta(days=180)  # calls are read one by one, so fewer
HOUR = timedelta(hours=1)
CHARGED = (CallState.SETTLED, CallState.UNCERTAIN)
CHARGE = Case(When(state=CallState.SETTLED, then=F("cost")), default=F("hold_amount"))


@dataclass(frozen=True, slots=True)
class Source:
    """Which calls are a budget's, as conditions on rollups and on calls.

    `rolled` is None where rollups cannot tell them: two facets at once, or names of models, since a
    budget counts by what a call's target is named and rollups by what was billed.
    """

    zone: ZoneInfo
    is_own_zone: bool
    calls: Q
    rolled: Q | None
    has_hours: bool = True

    @property
    def longest(self) -> timedelta:
        """Return how far back the series may be read."""
        return LONGEST if self.rolled is not None else LONGEST_BY_CALL


@dataclass(frozen=True, slots=True)
class Used:
    """What days cost, and which of them had calls at all."""

    history: History
    called: tuple[bool, ...]


def source(budget: Budget, *, zone: ZoneInfo, home: ZoneInfo) -> Source:
    """Return where the calls of a budget are found; `home` is the organization's zone."""
    filters: Mapping[str, list[str]] = budget.filters
    facets: list[tuple[str, list[str]]] = [
        (facet, filters[name])
        for name, facet in (("features", Facet.FEATURE), ("environments", Facet.ENVIRONMENT))
        if name in filters
    ]
    if budget.scope in {Scope.API_KEY, Scope.USER}:
        is_key = budget.scope == Scope.API_KEY
        value = str(budget.scope_id) if is_key else budget.scope_value
        facets.append((Facet.KEY if is_key else Facet.USER, [value]))
    rolled = None
    if len(facets) < 2 and "models" not in filters:
        rolled = _places(budget) & _facet(facets) & _listed("provider", filters.get("providers"))
    has_hours = all(facet in HOURLY for facet, _ in facets)
    return Source(zone, zone == home, _calls(budget, filters), rolled, has_hours)


def daily(found: Source, *, end: date) -> Used:
    """Return the complete days before `end`, from the first one with calls on."""
    first = end - found.longest
    rows = _by_day(found, first, end)
    used = [day for day, (_, calls) in rows.items() if calls > 0 and first <= day < end]
    if not used:
        return Used(History(end, ()), ())
    opens = min(used)
    days = [opens + timedelta(days=number) for number in range((end - opens).days)]
    pairs = [rows.get(day, (ZERO, 0)) for day in days]
    costs = tuple(cost for cost, _ in pairs)
    return Used(History(opens, costs), tuple(calls > 0 for _, calls in pairs))


def spent(found: Source, *, since: datetime, at: datetime) -> Decimal:
    """Return what was charged for calls of [since, at]: whole hours from rollups, the rest by call."""
    if found.rolled is None or not found.has_hours:
        return _sum_calls(found, since, at)
    whole = since.replace(minute=0, second=0, microsecond=0)
    if whole < since:
        whole += HOUR
    hours = Rollup.objects.filter(
        found.rolled, grain=Grain.HOUR, bucket__gte=whole, bucket__lte=at
    ).aggregate(cost=Sum(F("usd_amount") + F("uncertain_amount"), default=ZERO))
    rolled: Decimal = hours["cost"]
    return rolled + (_sum_calls(found, since, min(whole, at)) if since < whole else ZERO)


def _by_day(found: Source, first: date, end: date) -> dict[date, tuple[Decimal, int]]:
    if found.rolled is None:
        rows = _called_days(found, first, end)
    elif found.is_own_zone:
        rows = _rolled(Q(found.rolled, grain=Grain.DAY), _name(first), _name(end))
    elif found.has_hours and _begins_on_the_hour(found.zone, first, end):
        rows = _rolled(
            Q(found.rolled, grain=Grain.HOUR),
            *calendar.bounds(first, end, found.zone),
            day=TruncDate("bucket", tzinfo=found.zone),
        )
    else:
        rows = _called_days(found, max(first, end - LONGEST_BY_CALL), end)
    return {row["day"]: (row["charge"] or ZERO, row["count"] or 0) for row in rows}


def _rolled(
    wanted: Q, start: datetime, end: datetime, *, day: Combinable | None = None
) -> Iterable[Mapping[str, Any]]:
    rows = Rollup.objects.filter(wanted, bucket__gte=start, bucket__lt=end)
    return (
        rows.annotate(day=day or TruncDate("bucket", tzinfo=UTC))
        .values("day")
        .annotate(charge=Sum(F("usd_amount") + F("uncertain_amount")), count=Sum("calls"))
    )


def _called_days(found: Source, first: date, end: date) -> Iterable[Mapping[str, Any]]:
    calls = _charged(found, *calendar.bounds(first, end, found.zone))
    return (
        calls.annotate(day=TruncDate("occurred_at", tzinfo=found.zone))
        .values("day")
        .annotate(charge=Sum(CHARGE), count=Count("pk"))
        .order_by("day")
    )


def _sum_calls(found: Source, start: datetime, end: datetime) -> Decimal:
    total: Decimal = _charged(found, start, end).aggregate(total=Sum(CHARGE, default=ZERO))["total"]
    return total


def _charged(found: Source, start: datetime, end: datetime) -> QuerySet[UsageRecord]:
    return UsageRecord.objects.between(start, end).filter(found.calls, state__in=CHARGED)


def _begins_on_the_hour(zone: ZoneInfo, first: date, end: date) -> bool:
    """Say whether the days of a zone are made of whole hours of UTC, as the rollups are."""
    return all(calendar.day_start(day, zone).minute == 0 for day in (first, end))


def _places(budget: Budget) -> Q:
    if budget.scope == Scope.DEPARTMENT and budget.scope_id:
        return Q(department_id__in=access.subtree(budget.scope_id))
    return Q(cost_center_id=budget.scope_id) if budget.scope == Scope.COST_CENTER else Q()


def _facet(facets: Sequence[tuple[str, Sequence[str]]]) -> Q:
    facet, values = facets[0] if facets else (Facet.MODEL, None)
    return Q(facet=facet) & _listed("value", values)


def _calls(budget: Budget, filters: Mapping[str, Sequence[str]]) -> Q:
    wanted = _places(budget)
    if budget.scope == Scope.API_KEY:
        wanted &= Q(api_key_id=budget.scope_id)
    elif budget.scope == Scope.USER:
        wanted &= Q(user_id=budget.scope_value)
    models = filters.get("models")
    wanted &= _listed("route", models) | _listed("provider_model", models)
    for field, name in (
        *(("provider", "providers"), ("feature", "features")),
        ("environment", "environments"),
    ):
        wanted &= _listed(field, filters.get(name))
    return wanted


def _listed(field: str, values: Sequence[str] | None) -> Q:
    return Q() if values is None else Q(**{f"{field}__in": values})


def _name(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
