"""Budgets are created, revised and archived; their windows are opened ahead and count what was."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from budgets.limits import revisions, standing
from budgets.limits.amounts import LimitVersion
from budgets.limits.models import Budget, BudgetPeriod
from budgets.limits.periods import Window
from tests.cast import Cast
from tests.factories import make_budget, make_call


@pytest.fixture
def here(ours: Cast) -> Iterator[Cast]:
    """Serve our organization for the whole test."""
    with tenant(ours.organization.pk):
        yield ours


def test_a_new_budget_counts_what_its_window_has_cost(here: Cast) -> None:
    make_call(cost="2", cost_center=here.cost_center)
    make_call(cost="3", state="held")

    budget = make_budget(limit="50")

    now = standing.current(budget, at=timezone.now())
    assert now is not None
    assert (now.spent, now.held, now.limit) == (Decimal("3.25"), Decimal(3), Decimal(50))
    assert now.remaining == Decimal("43.75")


def test_a_budget_counts_its_own_scope_only(here: Cast) -> None:
    make_call(cost="2")

    budget = make_budget(scope="cost_center", scope_id=here.cost_center.pk)

    now = standing.current(budget, at=timezone.now())
    assert now is not None
    assert now.spent == Decimal("1.25")


def test_every_change_of_who_is_limited_raises_the_policy_epoch(here: Cast) -> None:
    before = Organization.objects.get().policy_epoch

    budget = make_budget()
    revisions.change(budget, by=SYSTEM)
    revisions.archive(budget, at=timezone.now(), by=SYSTEM)

    assert Organization.objects.get().policy_epoch == before + 3


def test_a_limit_acts_on_the_running_period_and_keeps_its_versions(here: Cast) -> None:
    revisions.revise(here.budget, Decimal(7), at=timezone.now(), by=SYSTEM, reason="less")

    now = standing.current(here.budget, at=timezone.now())
    assert now is not None
    assert now.limit == 7
    assert LimitVersion.objects.filter(budget=here.budget).count() == 2
    assert AuditEntry.objects.filter(action="budget.limit_lowered").count() == 1


def test_the_same_limit_again_changes_nothing(here: Cast) -> None:
    revisions.revise(here.budget, Decimal(100), at=timezone.now(), by=SYSTEM)

    assert LimitVersion.objects.filter(budget=here.budget).count() == 1


def test_enforcement_acts_on_the_running_period(here: Cast) -> None:
    here.budget.enforcement = "observe"

    revisions.change(here.budget, by=SYSTEM)

    assert BudgetPeriod.objects.filter(budget=here.budget, hard=True).count() == 0


def test_periods_are_opened_two_days_ahead_once(here: Cast) -> None:
    at = datetime(2031, 5, 10, 12, tzinfo=UTC)
    make_budget(period="day", at=at)

    opened = BudgetPeriod.objects.filter(starts_at__year=2031).order_by("starts_at")
    days = [period.starts_at.day for period in opened]
    assert days == [10, 11, 12]
    assert revisions.ensure_periods(at) == 1  # the monthly budget of the cast
    assert revisions.ensure_periods(at) == 0
    assert revisions.ensure_periods(at + timedelta(days=1)) == 1


def test_an_archived_budget_gets_no_more_periods(here: Cast) -> None:
    revisions.archive(here.budget, at=timezone.now(), by=SYSTEM)

    assert revisions.ensure_periods(timezone.now() + timedelta(days=400)) == 0


def test_a_custom_period_is_opened_long_before_it_begins(here: Cast) -> None:
    days = {"starts_on": "2040-03-01", "ends_on": "2040-04-01"}

    budget = make_budget(period="custom", calendar=days)

    period = BudgetPeriod.objects.get(budget=budget)
    assert (period.starts_at, period.ends_at) == (
        datetime(2040, 3, 1, tzinfo=UTC),
        datetime(2040, 4, 1, tzinfo=UTC),
    )


def test_windows_are_cut_in_the_budgets_own_zone(here: Cast) -> None:
    at = datetime(2026, 10, 15, tzinfo=UTC)

    budget = make_budget(time_zone="Europe/Paris", at=at)

    period = BudgetPeriod.objects.filter(budget=budget).earliest("starts_at")
    assert period.starts_at == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert period.ends_at == datetime(2026, 10, 31, 23, tzinfo=UTC)


def test_a_name_is_free_again_when_its_budget_is_archived(here: Cast) -> None:
    revisions.archive(here.budget, at=timezone.now(), by=SYSTEM)

    make_budget(name=here.budget.name)

    assert Budget.objects.filter(name=here.budget.name).count() == 2


def test_a_planned_limit_takes_its_place_on_its_day(here: Cast) -> None:
    ends = BudgetPeriod.objects.filter(budget=here.budget).earliest("starts_at").ends_at

    revisions.revise(here.budget, Decimal(7), at=ends, by=SYSTEM, reason="next year")
    revisions.revise(here.budget, Decimal(120), at=timezone.now(), by=SYSTEM)
    revisions.ensure_periods(ends - timedelta(hours=1))

    limits = BudgetPeriod.objects.filter(budget=here.budget).order_by("starts_at")
    assert [period.limit_amount for period in limits] == [120, 7]
    assert revisions.limit_of(here.budget) == 120
    assert revisions.limit_of(here.budget, at=ends) == 7


def test_a_planned_limit_acts_within_its_period_without_any_worker(here: Cast) -> None:
    revisions.revise(here.budget, Decimal(7), at=timezone.now() + timedelta(minutes=2), by=SYSTEM)
    period = BudgetPeriod.objects.filter(budget=here.budget).earliest("starts_at")
    assert (period.limit_amount, period.limit_until) == (
        Decimal(100),
        LimitVersion.objects.latest("created_at").effective_at,
    )

    with connection.cursor() as cursor:
        at = timezone.now() + timedelta(minutes=3)
        cursor.execute("SELECT amount FROM budgets_reckon(%s, %s)", [period.pk, at])
        assert cursor.fetchone() == (7,)


def test_an_estimate_changes_no_limit(here: Cast) -> None:
    revisions.estimate(
        here.budget, Decimal(500), at=timezone.now(), by=SYSTEM, reason="Q4 looks up"
    )
    revisions.relimit(here.budget)

    now = standing.current(here.budget, at=timezone.now())
    assert now is not None
    assert now.limit == 100
    kinds = LimitVersion.objects.filter(budget=here.budget).order_by("created_at")
    assert [version.kind for version in kinds] == ["original", "estimate"]
    assert AuditEntry.objects.filter(action="budget.estimated").count() == 1


@pytest.mark.parametrize(
    ("before", "after"), [("Europe/Paris", "America/New_York"), ("UTC", "Asia/Tokyo")]
)
@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_another_zone_acts_from_the_next_period(
    here: Cast, period: str, before: str, after: str
) -> None:
    Organization.objects.update(time_zone=before)
    at = datetime(2031, 5, 10, 12, tzinfo=UTC)
    budget = make_budget(period=period, at=at)
    opened = BudgetPeriod.objects.filter(budget=budget).count()

    Organization.objects.update(time_zone=after)
    for hours in range(0, 70 * 24, 40):
        revisions.ensure_periods(at + timedelta(hours=hours))

    found = list(BudgetPeriod.objects.filter(budget=budget).order_by("starts_at"))
    assert all(one.ends_at == two.starts_at for one, two in pairwise(found))
    midnights = {one.ends_at.astimezone(ZoneInfo(after)).hour for one in found[opened:]}
    assert midnights == {0}


def test_a_custom_period_keeps_its_bounds_in_another_zone(here: Cast) -> None:
    days = {"starts_on": "2040-03-01", "ends_on": "2040-04-01"}
    budget = make_budget(period="custom", calendar=days)

    Organization.objects.update(time_zone="Asia/Tokyo")
    revisions.ensure_periods(timezone.now())

    assert BudgetPeriod.objects.filter(budget=budget).count() == 1


def test_a_window_that_overlaps_answers_the_period_that_is_there(here: Cast) -> None:
    period = BudgetPeriod.objects.filter(budget=here.budget).earliest("starts_at")
    later = Window(period.starts_at + timedelta(hours=5), period.ends_at + timedelta(hours=5))

    assert revisions.open_period(here.budget, later, is_backfilled=False) == period.pk
