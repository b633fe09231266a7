"""What the database carries over, against a plain model, whichever order calls are told in."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.isolation.transaction import tenant
from budgets.limits import revisions
from budgets.limits.models import BudgetPeriod
from budgets.limits.periods import Window
from budgets.reservations import books, ingest
from budgets.reservations.ingest import Event
from tests.factories import make_budget, make_organization

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
DAYS = 4  # three that have ended, and today

amounts = st.integers(0, 30_000).map(lambda cents: Decimal(cents) / 100)


@dataclass(frozen=True)
class Rule:
    """A rollover and its cap."""

    rollover: str
    cap: Decimal | None
    unit: str

    def carried(self, base: Decimal, remains: Decimal) -> Decimal:
        """Return what the next period takes over of what remains."""
        if self.rollover == "none" or (remains < 0 and self.rollover == "carry_unused"):
            return Decimal(0)
        if remains < 0 or self.cap is None:
            return remains
        return min(remains, self.cap * base / 100 if self.unit == "percent" else self.cap)


rules = st.builds(
    Rule,
    st.sampled_from(["none", "carry_unused", "carry_net"]),
    st.none() | amounts,
    st.sampled_from(["percent", "usd"]),
)


def expected(rule: Rule, base: Decimal, spent: list[Decimal]) -> list[Decimal]:
    """Return the limits of the days."""
    carried = [Decimal(0)]
    for cost in spent[:-1]:
        carried.append(rule.carried(base, base + carried[-1] - cost))
    return [max(base + one, Decimal(0)) for one in carried]


@settings(max_examples=12, deadline=None)
@given(rules, amounts, st.lists(st.tuples(st.integers(0, DAYS - 1), amounts), max_size=5))
def test_limits_are_those_of_a_plain_model(
    rule: Rule, base: Decimal, calls: list[tuple[int, Decimal]]
) -> None:
    now = timezone.now()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    spent = [Decimal(0)] * DAYS
    with tenant(make_organization(fiscal_start_month=(now.month + 5) % 12 + 1).pk):
        columns: dict[str, Any] = {"rollover": rule.rollover, "rollover_cap_unit": rule.unit}
        budget = make_budget(limit=str(base), period="day", rollover_cap=rule.cap, **columns)
        for days in range(DAYS - 1, 0, -1):
            window = Window(today - days * DAY, today - (days - 1) * DAY)
            revisions.open_period(budget, window, is_backfilled=False)
        for day, cost in calls:
            facts: dict[str, Any] = {"model": "m", "provider": "openai", "cost": cost}
            at = today - (DAYS - 1 - day) * DAY
            ingest.record([Event("sdk", uuid.uuid4().hex, at, **facts)])
            spent[day] += cost

            revisions.relimit(budget)

            rows = BudgetPeriod.objects.filter(budget=budget, starts_at__lte=now)
            limits = rows.order_by("starts_at").values_list("limit_amount", flat=True)
            assert list(limits) == expected(rule, base, spent)
        assert set(BudgetPeriod.objects.values_list("arm", flat=True)) == {1}
        assert not books.verify()
