"""A new budget period admits at once at the front door, opened ahead or not."""

import asyncio
import time
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from budgets.limits import revisions
from budgets.limits.models import Budget
from budgets.limits.periods import Window
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import House

HOUR = timedelta(hours=1)
LIMIT = "0.00034"  # a call holds 0.000314 and costs 0.000037: no second one fits


def make_ending(*, ends: datetime, is_next_open: bool) -> Budget:
    """Create a budget of days whose running period ends in a moment."""
    days = {"starts_on": "2000-01-01", "ends_on": "2000-01-02"}
    budget = factories.make_budget(limit=LIMIT, period="custom", calendar=days, wait_ms=0)
    Budget.objects.filter(pk=budget.pk).update(period="day", calendar={})
    budget.refresh_from_db()
    windows = [Window(ends - HOUR, ends), Window(ends, ends + HOUR)]
    for window in windows[: 1 + is_next_open]:
        revisions.open_period(budget, window, is_backfilled=False)
    return budget


@pytest.mark.parametrize("is_next_open", [True, False])
async def test_a_new_period_admits_within_a_second_of_its_start(
    house: House, start: Start, *, is_next_open: bool
) -> None:
    ends = timezone.now().replace(microsecond=0) + timedelta(seconds=6)
    await house.make(make_ending, ends=ends, is_next_open=is_next_open)

    async with start(house) as (client, _, _):
        statuses = [(await client.chat(max_tokens=100)).status_code for _ in range(2)]
        is_early = timezone.now() < ends
        await asyncio.sleep((ends - timezone.now()).total_seconds() + 0.1)
        began = time.monotonic()
        answer = await client.chat(max_tokens=100)
        taken = time.monotonic() - began
        periods = await client.rows(
            "SELECT * FROM v1_periods WHERE organization_id = %s ORDER BY starts_at"
        )
    assert is_early
    assert [*statuses, answer.status_code] == [200, 402, 200]
    assert taken < 0.9
    first, second = periods[-2:]
    assert first["ends_at"] == second["starts_at"] == ends
    assert second["spent"] > 0
    assert Decimal(second["limit_amount"]) == Decimal(LIMIT)
