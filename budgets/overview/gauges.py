"""How full each running budget is, as the Overview draws it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext

from attribution.reports.filters import Filters
from budgets.alerts import states
from budgets.forecasts import outlooks
from budgets.forecasts.models import Status
from budgets.forecasts.outlooks import Outlook
from budgets.forecasts.projection import Ahead
from budgets.limits.models import Basis, Budget, PeriodKind, Scope, Threshold, Unit
from budgets.limits.standing import Standing

WATCH = Decimal("0.5")
NEAR = Decimal("0.8")
FULL = Decimal(1)
ZERO = Decimal(0)
HUNDRED = Decimal(100)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A budget, how it stands, and how to draw that."""

    name: str
    scope: str
    kind: str
    standing: Standing
    ticks: tuple[Decimal, ...] = ()
    outlook: Outlook | None = None
    is_filtered: bool = False
    centers: frozenset[UUID] = frozenset()  # the cost centers it covers, where it covers such

    @property
    def share(self) -> Decimal | None:
        """Return what is used of the limit; None for a limit of nothing."""
        return self.standing.utilisation

    @property
    def level(self) -> str:
        """Return good below 50 %, warn below 80 %, bad from there on."""
        share = FULL if self.share is None else self.share
        return "good" if share < WATCH else "warn" if share < NEAR else "bad"

    @property
    def word(self) -> str:
        """Return the word that stands beside the colour."""
        if self.level == "bad":
            is_full = self.share is None or self.share >= FULL
            return gettext("used up") if is_full else gettext("nearly used up")
        if self.is_foreseen:
            return gettext("forecast over the limit")
        return gettext("on track") if self.level == "good" else gettext("watch")

    @property
    def is_foreseen(self) -> bool:
        """Say whether the limit, not near yet, will be passed if all goes on as expected."""
        variance = self.forecast.variance if self.forecast else None
        return self.level != "bad" and variance is not None and variance > ZERO

    @property
    def word_level(self) -> str:
        """Return the colour beside the word: that of the bar, or a warning of what is foreseen."""
        return "warn" if self.is_foreseen else self.level

    @property
    def scope_name(self) -> str:
        """Return what the budget covers, as a word."""
        return str(Scope(self.scope).label)

    @property
    def spent_width(self) -> str:
        """Return the length of the solid part of the bar."""
        return self._width(ZERO, self.standing.spent)

    @property
    def held_start(self) -> str:
        """Return where the hatched part begins."""
        return self._at(self.standing.spent)

    @property
    def held_width(self) -> str:
        """Return the length of the hatched part."""
        return self._width(self.standing.spent, self.standing.held)

    @property
    def uncertain_start(self) -> str:
        """Return where the dotted part begins."""
        return self._at(self.standing.spent + self.standing.held)

    @property
    def uncertain_width(self) -> str:
        """Return the length of the dotted part."""
        return self._width(self.standing.spent + self.standing.held, self.standing.uncertain)

    @property
    def tick_places(self) -> list[str]:
        """Return where the thresholds stand on the bar."""
        return [f"{tick}%" for tick in self.ticks]

    @property
    def forecast(self) -> Outlook | None:
        """Return the forecast, where there is a number to show."""
        return self.outlook if self.outlook and self.outlook.has_forecast else None

    @property
    def forecast_place(self) -> str:
        """Return where the forecast stands on the bar; at its end where it passes the limit."""
        forecast = self.forecast
        return self._at(forecast.p50) if forecast and forecast.p50 is not None else ""

    @property
    def ring(self) -> str:
        """Return how much of the half ring is drawn, of 100."""
        return self._at(self.standing.actual).removesuffix("%")

    def days_left(self, at: datetime) -> int:
        """Return how many days of the period remain, the running one included."""
        return max(0, -((at - self.standing.ends_at) // DAY))

    def _at(self, amount: Decimal) -> str:
        share = amount / self.standing.limit if self.standing.limit else FULL
        return _percent(min(max(share, ZERO), FULL))

    def _width(self, start: Decimal, length: Decimal) -> str:
        end, begin = (Decimal(self._at(a).removesuffix("%")) for a in (start + length, start))
        return f"{end - begin}%"


def running(filters: Filters, *, at: datetime) -> list[Gauge]:
    """Return the budgets whose period holds `at`, the fullest first."""
    budgets = Budget.objects.filter(_covered(filters), archived_at=None)
    found = outlooks.of([budget.pk for budget in budgets], at=at)
    ticks = _ticks(found)
    gauges = [
        Gauge(
            b.name,
            b.scope,
            b.period,
            found[b.pk].standing,
            ticks.get(b.pk, ()),
            outlook=found[b.pk],
            is_filtered=bool(b.filters),
            centers=frozenset({b.scope_id} if b.scope == Scope.COST_CENTER and b.scope_id else ()),
        )
        for b in budgets
        if b.pk in found
    ]
    return sorted(gauges, key=lambda g: (-(FULL if g.share is None else g.share), g.name))


def together(gauges: list[Gauge]) -> Gauge | None:
    """Return the month as one: the organization's budget, else its cost centers' added up."""
    monthly = [g for g in gauges if g.kind == PeriodKind.MONTH and not g.is_filtered]
    whole = [g for g in monthly if g.scope == Scope.ORGANIZATION]
    parts = [g for g in monthly if g.scope == Scope.COST_CENTER]
    if whole:
        return min(whole, key=lambda g: g.standing.limit)
    if len(parts) < 2:
        return next(iter(parts), None)
    added = replace(
        parts[0].standing,
        limit=_sum(part.standing.limit for part in parts),
        spent=_sum(part.standing.spent for part in parts),
        held=_sum(part.standing.held for part in parts),
        uncertain=_sum(part.standing.uncertain for part in parts),
    )
    return Gauge(
        gettext("Together"),
        Scope.COST_CENTER,
        PeriodKind.MONTH,
        added,
        outlook=_added(parts, added),
        centers=frozenset().union(*(part.centers for part in parts)),
    )


def _added(parts: list[Gauge], standing: Standing) -> Outlook | None:
    """Return the forecasts added up, where every part has one; intervals do not add up."""
    p50s = [part.forecast.p50 for part in parts if part.forecast and part.forecast.p50 is not None]
    if len(p50s) < len(parts):
        return None
    days: dict[date, Decimal] = {}
    for step in (step for part in parts if part.forecast for step in part.forecast.ahead):
        days[step.day] = days.get(step.day, ZERO) + step.expected
    ahead = tuple(Ahead(day, cost, ZERO) for day, cost in sorted(days.items()))
    return Outlook(standing, states.OK, Status.READY, p50=_sum(p50s), ahead=ahead)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, start=ZERO)


def _covered(filters: Filters) -> Q:
    if filters.cost_center_ids is None:
        return Q()
    return Q(scope=Scope.COST_CENTER, scope_id__in=filters.cost_center_ids)


def _ticks(budget_ids: Iterable[UUID]) -> dict[UUID, tuple[Decimal, ...]]:
    rows = Threshold.objects.filter(
        budget_id__in=list(budget_ids), basis=Basis.ACTUAL, unit=Unit.PERCENT, value__lt=HUNDRED
    ).values_list("budget_id", "value")
    ticks: dict[UUID, tuple[Decimal, ...]] = {}
    for budget_id, value in rows.order_by("value"):
        ticks[budget_id] = (*ticks.get(budget_id, ()), value.normalize())
    return ticks


def _percent(share: Decimal) -> str:
    return f"{(share * HUNDRED).quantize(Decimal('0.01'), ROUND_HALF_EVEN)}%"
