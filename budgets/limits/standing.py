"""How a budget stands: limit, spent, held, uncertain, remaining. Every place reads it here."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection

from budgets.limits.models import Budget, BudgetPeriod

RECKON = """
SELECT q.id, r.base, r.carried, r.raised, r.amount
  FROM unnest(%s::bigint[]) q(id), LATERAL budgets_reckon(q.id, clock_timestamp()) r
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """One budget period in figures; `actual` is what thresholds and utilisation look at."""

    period_id: int
    budget_id: UUID
    enforcement: str
    starts_at: datetime
    ends_at: datetime
    limit: Decimal
    spent: Decimal
    held: Decimal
    uncertain: Decimal
    base: Decimal = Decimal(0)  # limit = base + carried, at least nothing, + raised
    carried: Decimal = Decimal(0)
    raised: Decimal = Decimal(0)

    @property
    def actual(self) -> Decimal:
        """Return what is charged: settled costs and expired holds whose truth is still to come."""
        return self.spent + self.uncertain

    @property
    def remaining(self) -> Decimal:
        """Return what calls may still hold; negative when a limit was lowered under what is spent."""
        return self.limit - self.spent - self.held - self.uncertain

    @property
    def utilisation(self) -> Decimal | None:
        """Return actual by limit; None for a limit of nothing."""
        return self.actual / self.limit if self.limit else None


def of(period: BudgetPeriod) -> Standing:
    """Return how a budget period stands by its row; `standings` also know the time of its limit."""
    return Standing(
        period_id=period.pk,
        budget_id=period.budget_id,
        enforcement=period.enforcement,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        limit=period.limit_amount,
        base=period.base_amount,
        carried=period.carried,
        raised=period.raised,
        spent=period.spent,
        held=period.held,
        uncertain=period.uncertain,
    )


def current(budget: Budget, *, at: datetime) -> Standing | None:
    """Return how a budget stands in the period that holds `at`; None outside of all periods."""
    return standings([budget.pk], at=at).get(budget.pk)


def standings(budget_ids: Iterable[UUID], *, at: datetime) -> dict[UUID, Standing]:
    """Return how budgets stand in their periods that hold `at`, with one query.

    A limit whose time has come (`limit_until`) is asked for as admission would work it out.
    """
    periods = list(
        BudgetPeriod.objects.filter(
            budget_id__in=list(budget_ids), starts_at__lte=at, ends_at__gt=at
        ).order_by("pk")
    )
    reckon(period for period in periods if period.limit_until and period.limit_until <= at)
    return {period.budget_id: of(period) for period in periods}


def reckon(periods: Iterable[BudgetPeriod]) -> None:
    """Give rows in memory, whose limit may be past its time, the limit of now."""
    rows = {period.pk: period for period in periods}
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(RECKON, [list(rows)])
        for pk, base, carried, raised, amount in cursor.fetchall():
            rows[pk].base_amount, rows[pk].carried = base, carried
            rows[pk].raised, rows[pk].limit_amount = raised, amount
