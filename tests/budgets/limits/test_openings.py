"""A change of zone acts from the next period though that one is opened already."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from budgets.limits import openings, revisions
from budgets.limits.models import Budget, BudgetPeriod
from budgets.limits.periods import Window
from budgets.reservations import books, holds
from budgets.reservations.holds import Call
from tests.factories import make_budget, make_organization

pytestmark = pytest.mark.django_db
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with tenant(make_organization().pk):
        yield


def opened(budget: Budget) -> list[BudgetPeriod]:
    return list(BudgetPeriod.objects.filter(budget=budget).order_by("starts_at"))


def test_periods_to_come_move_and_the_running_one_stays() -> None:
    now = timezone.now()
    budget = make_budget(period="day", at=now)
    before = opened(budget)

    Organization.objects.update(time_zone="Asia/Tokyo")
    assert openings.keep(now) >= len(before) - 1
    assert openings.keep(now) == 0

    after = opened(budget)
    assert [after[0].starts_at, after[0].ends_at] == [before[0].starts_at, before[0].ends_at]
    assert all(one.ends_at == two.starts_at for one, two in pairwise(after))
    assert {period.ends_at.astimezone(TOKYO).hour for period in after[1:]} == {0}
    assert [period.pk for period in after][: len(before)] == [period.pk for period in before]


def test_without_a_change_nothing_moves() -> None:
    budget = make_budget(period="week")
    make_budget(period="custom", calendar={"starts_on": "2040-03-01", "ends_on": "2040-04-01"})
    before = [(period.starts_at, period.ends_at) for period in opened(budget)]

    openings.keep(timezone.now())

    assert [(period.starts_at, period.ends_at) for period in opened(budget)] == before
    assert openings.reshape(timezone.now()) == 0


def test_a_period_that_holds_a_call_or_has_begun_never_moves() -> None:
    now = timezone.now()
    budget = make_budget(period="day", at=now)
    holds.reserve(Call(holds.mint(now)), Decimal(1), at=now, worker_id=uuid.uuid4())
    running = opened(budget)[0]
    elsewhere = Window(datetime(2100, 1, 1, tzinfo=UTC), datetime(2100, 1, 2, tzinfo=UTC))

    moved = revisions.move_periods(budget, [(running.pk, elsewhere, elsewhere.starts_at)])

    assert moved == 0
    assert opened(budget)[0].ends_at == running.ends_at
    assert not books.verify()


def test_all_periods_move_or_none() -> None:
    budget = make_budget(period="day")
    coming = opened(budget)[-1]
    later = Window(coming.starts_at + timedelta(hours=1), coming.ends_at + timedelta(hours=1))
    changes = [(pk, later, later.starts_at) for pk in (coming.pk, opened(budget)[0].pk)]

    assert revisions.move_periods(budget, changes) == 0
    assert revisions.move_periods(budget, changes[:1]) == 1

    assert opened(budget)[-1].starts_at == later.starts_at


def test_another_fiscal_year_reaches_periods_to_come() -> None:
    now = timezone.now()
    budget = make_budget(period="day", at=now)
    month = now.month % 12 + 1

    Organization.objects.update(fiscal_start_month=month)
    openings.reshape(now)

    coming = opened(budget)[1]
    assert coming.year_starts_at is not None
    assert coming.year_starts_at.month == month
    assert openings.reshape(now) == 0
