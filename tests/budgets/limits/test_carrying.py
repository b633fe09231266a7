"""What a period takes over from the one before it, exactly, late calls and the fiscal year included."""

import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from budgets.alerts.models import Alert
from budgets.limits import overrides, periods, revisions, standing
from budgets.limits.models import Budget, BudgetPeriod, Threshold
from budgets.limits.overrides import Terms
from budgets.limits.periods import Window
from budgets.limits.standing import Standing
from budgets.reservations import books, holds, ingest
from budgets.reservations.holds import Call
from budgets.reservations.ingest import Event
from tests.factories import make_budget, make_organization

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def today() -> Iterator[datetime]:
    """Serve an organization in the middle of its fiscal year; give the midnight that began today."""
    now = timezone.now()
    with tenant(make_organization(fiscal_start_month=(now.month + 5) % 12 + 1).pk):
        yield now.replace(hour=0, minute=0, second=0, microsecond=0)


def make_daily(
    today: datetime, *, spent: str, days_before: int = 1, limit: str = "1000", **columns: Any
) -> Budget:
    """Create a budget of days that was there before, and spent something yesterday."""
    budget = make_budget(limit=limit, period="day", **columns)
    for days in range(days_before, 0, -1):
        window = Window(today - days * DAY, today - (days - 1) * DAY)
        revisions.open_period(budget, window, is_backfilled=False)
    spend(spent, at=today - timedelta(hours=1))
    revisions.relimit(budget)
    return budget


def make_bare(**columns: Any) -> Budget:
    """Create a budget of days without any period of now."""
    days = {"starts_on": "2000-01-01", "ends_on": "2000-01-02"}
    budget = make_budget(limit="1000", period="custom", calendar=days, **columns)
    Budget.objects.filter(pk=budget.pk).update(period="day", calendar={})
    budget.refresh_from_db()
    return budget


def spend(cost: str, *, at: datetime) -> None:
    """Book a call of an instant."""
    if Decimal(cost):
        facts: dict[str, Any] = {"model": "m", "provider": "openai", "cost": Decimal(cost)}
        (answer,) = ingest.record([Event("sdk", uuid.uuid4().hex, at, **facts)])
        assert answer.result == "recorded"


def now_of(budget: Budget) -> Standing:
    found = standing.current(budget, at=timezone.now())
    assert found is not None
    return found


def figures(found: Standing) -> list[Decimal]:
    """Return limit and what of it was carried over."""
    return [found.limit, found.carried]


@pytest.mark.parametrize(
    ("rollover", "cap", "unit", "spent", "expected"),
    [
        ("none", None, "percent", "800", "1000"),
        ("carry_unused", "10", "percent", "800", "1100"),
        ("carry_unused", "30", "percent", "800", "1200"),
        ("carry_unused", "150", "usd", "800", "1150"),
        ("carry_unused", None, "percent", "800", "1200"),
        ("carry_unused", "10", "percent", "1150", "1000"),
        ("carry_net", "10", "percent", "800", "1100"),
        ("carry_net", "10", "percent", "1150", "850"),
        ("carry_net", "0", "usd", "800", "1000"),
    ],
)
def test_a_limit_follows_from_what_was_left_or_overspent(
    today: datetime, rollover: str, cap: str | None, unit: str, spent: str, expected: str
) -> None:
    most = Decimal(cap) if cap else None

    budget = make_daily(
        today, spent=spent, rollover=rollover, rollover_cap=most, rollover_cap_unit=unit
    )

    now = now_of(budget)
    assert now.limit == now.base + now.carried == Decimal(expected)
    assert not books.verify()


def test_a_period_opened_after_midnight_begins_with_what_is_carried(today: datetime) -> None:
    budget = make_bare(rollover="carry_net")
    yesterday = Window(today - DAY, today)
    revisions.open_period(budget, yesterday, is_backfilled=False)
    spend("1150", at=today - timedelta(hours=2))

    assert revisions.ensure_periods(timezone.now()) > 0

    assert figures(now_of(budget)) == [850, -150]


def test_nothing_is_carried_before_a_period_begins(today: datetime) -> None:
    budget = make_daily(today, spent="0", rollover="carry_unused")
    tomorrow = BudgetPeriod.objects.get(budget=budget, starts_at=today + DAY)

    assert figures(standing.of(tomorrow)) == [1000, 0]
    assert tomorrow.limit_until == today + DAY


@pytest.mark.parametrize(("months_on", "carried"), [(0, 0), (5, 1000)])
def test_carried_money_expires_with_the_fiscal_year(
    today: datetime, months_on: int, carried: int
) -> None:
    month = (today.month - 1 + months_on) % 12 + 1
    Organization.objects.update(fiscal_start_month=month)
    budget = make_budget(limit="1000", period="month", rollover="carry_unused")
    first = BudgetPeriod.objects.filter(budget=budget).earliest("starts_at").starts_at
    spec = revisions.spec_of(budget, Organization.objects.get())
    before = periods.window_at(spec, first - DAY)
    assert before is not None
    revisions.open_period(budget, before, is_backfilled=False)

    revisions.relimit(budget)

    assert now_of(budget).carried == carried


def test_a_debt_larger_than_a_limit_is_paid_back_over_several_periods(today: datetime) -> None:
    budget = make_budget(limit="1000", period="day", rollover="carry_net")
    revisions.open_period(budget, Window(today - 2 * DAY, today - DAY), is_backfilled=False)
    spend("2500", at=today - DAY - timedelta(hours=3))

    revisions.open_period(budget, Window(today - DAY, today), is_backfilled=False)
    revisions.relimit(budget)

    yesterday = BudgetPeriod.objects.get(budget=budget, starts_at=today - DAY)
    assert figures(standing.of(yesterday)) == [0, -1500]
    assert figures(now_of(budget)) == [500, -500]


def test_open_calls_are_not_given_twice_and_a_late_settlement_gives_back(today: datetime) -> None:
    budget = make_bare(rollover="carry_unused", enforcement="block")
    ends = timezone.now() + timedelta(seconds=1)
    for window in (Window(today - DAY, ends), Window(ends, ends + DAY)):
        revisions.open_period(budget, window, is_backfilled=False)
    late = Call(holds.mint(timezone.now()))
    holds.reserve(late, Decimal(300), at=timezone.now(), worker_id=uuid.uuid4())
    time.sleep(7.1)  # calls are too old for the ended period now
    assert now_of(budget).carried == 700

    holds.settle(late.id, Decimal(100))
    revisions.follow()

    assert now_of(budget).carried == 900
    assert BudgetPeriod.objects.get(pk=now_of(budget).period_id).arm == 1
    assert not books.verify()


def test_admissions_follow_late_calls_without_any_worker(today: datetime) -> None:
    budget = make_daily(today, spent="0", rollover="carry_net", enforcement="block")
    spend("1900", at=today - timedelta(hours=2))

    time.sleep(1.1)
    call = Call(holds.mint(timezone.now()))
    with pytest.raises(holds.RefusedError) as refused:
        holds.reserve(call, Decimal(200), at=timezone.now(), worker_id=uuid.uuid4())

    assert Decimal(refused.value.detail["budget"]["limit"]) == 100
    assert now_of(budget).carried == -900


def test_what_an_override_added_is_never_carried_but_covers_what_was_overspent(
    today: datetime,
) -> None:
    budget = make_daily(today, spent="1150", rollover="carry_net")
    assert now_of(budget).carried == -150

    terms = Terms(Decimal(100), today - timedelta(hours=5), today + 9 * DAY, "launch")
    overrides.grant(budget, terms, at=timezone.now(), by=SYSTEM)

    now = now_of(budget)
    assert figures(now) == [1050, -50]
    assert (now.base, now.raised) == (Decimal(1000), Decimal(100))


def test_less_carried_over_tells_of_thresholds_that_are_passed_now_once(today: datetime) -> None:
    budget = make_daily(today, spent="500", rollover="carry_unused", thresholds=["80"])
    spend("1000", at=timezone.now())
    assert not Alert.objects.exists()

    spend("400", at=today - timedelta(hours=3))
    revisions.relimit(budget)
    revisions.relimit(budget)

    assert Alert.objects.count() == 2  # 80 % of yesterday, and of the 1100 that are left today
    period = BudgetPeriod.objects.get(pk=now_of(budget).period_id)
    assert (period.arm, period.lowered_at is not None) == (1, True)
    assert not books.verify()


def test_late_calls_reach_through_periods_that_have_ended(today: datetime) -> None:
    budget = make_daily(today, spent="1000", days_before=2, rollover="carry_unused")
    assert now_of(budget).carried == 1000
    spend("600", at=today - DAY - timedelta(hours=2))

    revisions.relimit(budget)

    yesterday = BudgetPeriod.objects.get(budget=budget, starts_at=today - DAY)
    assert figures(standing.of(yesterday)) == [1400, 400]
    assert figures(now_of(budget)) == [1400, 400]


def test_what_ended_keeps_the_rollover_it_had_and_new_thresholds_do_not_tell_of_it(
    today: datetime,
) -> None:
    budget = make_daily(today, spent="900", days_before=2, rollover="carry_unused", thresholds=[])
    yesterday = BudgetPeriod.objects.get(budget=budget, starts_at=today - DAY)
    assert yesterday.carried == 1000

    budget.rollover = "none"
    revisions.change(budget, by=SYSTEM)
    Threshold.objects.create(budget=budget, value=Decimal(10))
    revisions.relimit(budget)

    yesterday.refresh_from_db()
    assert yesterday.carried == 1000
    assert figures(now_of(budget)) == [1000, 0]
    assert not Alert.objects.exists()


def test_what_was_left_is_given_once_calls_are_too_old_for_the_ended_period(
    today: datetime,
) -> None:
    budget = make_bare(rollover="carry_unused", enforcement="block")
    ended = timezone.now()
    for window in (Window(today - DAY, ended), Window(ended, ended + DAY)):
        revisions.open_period(budget, window, is_backfilled=False)

    assert is_admitted("1000", born=timezone.now())
    assert not is_admitted("0.01", born=timezone.now())  # else the next one would be given twice
    assert is_admitted("1000", born=ended - timedelta(seconds=1))
    time.sleep(6.1)

    assert not is_admitted("0.01", born=timezone.now())
    assert now_of(budget).carried == 0
    assert not books.verify()


def is_admitted(amount: str, *, born: datetime) -> bool:
    """Ask for a call of an instant."""
    call = Call(holds.mint(born))
    try:
        holds.reserve(call, Decimal(amount), at=born, worker_id=uuid.uuid4())
    except holds.RefusedError:
        return False
    return True
