"""How much of each running budget is used, as the Overview draws it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext

from attribution.reports.filters import Filters
from budgets.limits.models import Basis, BudgetPeriod, PeriodKind, Scope, Threshold, Unit

WATCH = Decimal("0.5")
NEAR = Decimal("0.8")
FULL = Decimal(1)
HUNDRED = Decimal(100)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """One budget period: its amounts, and how to draw them."""

    name: str
    scope: str
    scope_id: UUID | None
    kind: str
    enforcement: str
    starts_at: datetime
    ends_at: datetime
    limit: Decimal
    spent: Decimal
    held: Decimal
    uncertain: Decimal
    ticks: tuple[Decimal, ...] = ()

    @property
    def remaining(self) -> Decimal:
        """Return what may still be spent; negative when a limit was lowered under what is spent."""
        return self.limit - self.spent - self.held - self.uncertain

    @property
    def share(self) -> Decimal | None:
        """Return spent by limit; None for a limit of nothing."""
        return self.spent / self.limit if self.limit else None

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
        return gettext("on track") if self.level == "good" else gettext("watch")

    @property
    def scope_name(self) -> str:
        """Return what the budget covers, as a word."""
        return str(Scope(self.scope).label)

    @property
    def spent_width(self) -> str:
        """Return the length of the solid part of the bar."""
        return self._width(Decimal(0), self.spent)

    @property
    def held_start(self) -> str:
        """Return where the hatched part begins."""
        return self._at(self.spent)

    @property
    def held_width(self) -> str:
        """Return the length of the hatched part."""
        return self._width(self.spent, self.held)

    @property
    def uncertain_start(self) -> str:
        """Return where the dotted part begins."""
        return self._at(self.spent + self.held)

    @property
    def uncertain_width(self) -> str:
        """Return the length of the dotted part."""
        return self._width(self.spent + self.held, self.uncertain)

    @property
    def tick_places(self) -> list[str]:
        """Return where the thresholds stand on the bar."""
        return [f"{tick}%" for tick in self.ticks]

    @property
    def ring(self) -> str:
        """Return how much of the half ring is drawn, of 100."""
        return self._at(self.spent).removesuffix("%")

    def days_left(self, at: datetime) -> int:
        """Return how many days of the period remain, the running one included."""
        return max(0, -((at - self.ends_at) // DAY))

    def _at(self, amount: Decimal) -> str:
        share = amount / self.limit if self.limit else FULL
        return _percent(min(max(share, Decimal(0)), FULL))

    def _width(self, start: Decimal, length: Decimal) -> str:
        end, begin = (Decimal(self._at(a).removesuffix("%")) for a in (start + length, start))
        return f"{end - begin}%"


def running(filters: Filters, *, at: datetime) -> list[Standing]:
    """Return the budget periods that hold `at`, the fullest first."""
    periods = (
        BudgetPeriod.objects.filter(starts_at__lte=at, ends_at__gt=at, budget__archived_at=None)
        .filter(_covered(filters))
        .select_related("budget")
    )
    ticks = _ticks(period.budget_id for period in periods)
    found = [_standing(period, ticks.get(period.budget_id, ())) for period in periods]
    return sorted(found, key=lambda s: (-(FULL if s.share is None else s.share), s.name))


def together(standings: list[Standing]) -> Standing | None:
    """Return the month as one: the organization's budget, else its cost centers' added up."""
    monthly = [s for s in standings if s.kind == PeriodKind.MONTH]
    whole = [s for s in monthly if s.scope == Scope.ORGANIZATION]
    parts = [s for s in monthly if s.scope == Scope.COST_CENTER]
    if whole:
        return min(whole, key=lambda s: s.limit)
    if len(parts) < 2:
        return next(iter(parts), None)
    return replace(
        parts[0],
        name=gettext("All cost centers"),
        scope=Scope.ORGANIZATION,
        scope_id=None,
        ticks=(),
        limit=_sum(one.limit for one in parts),
        spent=_sum(one.spent for one in parts),
        held=_sum(one.held for one in parts),
        uncertain=_sum(one.uncertain for one in parts),
    )


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, start=Decimal(0))


def _covered(filters: Filters) -> Q:
    if filters.cost_center_ids is None:
        return Q()
    return Q(budget__scope=Scope.COST_CENTER, budget__scope_id__in=filters.cost_center_ids)


def _ticks(budget_ids: Iterable[UUID]) -> dict[UUID, tuple[Decimal, ...]]:
    rows = Threshold.objects.filter(
        budget_id__in=list(budget_ids), basis=Basis.ACTUAL, unit=Unit.PERCENT, value__lt=HUNDRED
    ).values_list("budget_id", "value")
    ticks: dict[UUID, tuple[Decimal, ...]] = {}
    for budget_id, value in rows.order_by("value"):
        ticks[budget_id] = (*ticks.get(budget_id, ()), value.normalize())
    return ticks


def _standing(period: BudgetPeriod, ticks: tuple[Decimal, ...]) -> Standing:
    budget = period.budget
    return Standing(
        name=budget.name,
        scope=budget.scope,
        scope_id=budget.scope_id,
        kind=budget.period,
        enforcement=period.enforcement,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        limit=period.limit_amount,
        spent=period.spent,
        held=period.held,
        uncertain=period.uncertain,
        ticks=ticks,
    )


def _percent(share: Decimal) -> str:
    return f"{(share * HUNDRED).quantize(Decimal('0.01'), ROUND_HALF_EVEN)}%"
