"""Copies change limits by a percentage, rounded as asked, from the next period on."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from budgets.limits import revisions, standing
from budgets.limits.models import Budget
from budgets.plans import copies, drafts
from budgets.plans.copies import Change, Rounding
from budgets.plans.steps import Action
from tests.budgets.plans.planning import budget, drafted, finance, names
from tests.cast import Cast
from tests.factories import make_budget


@pytest.mark.parametrize(
    ("amount", "percent", "rounding", "expected"),
    [
        ("1000", "10", Rounding.CENT, "1100"),
        ("99.99", "3.5", Rounding.CENT, "103.49"),
        ("1234", "10", Rounding.ONE, "1357"),
        ("1234", "10", Rounding.TEN, "1360"),
        ("1234", "10", Rounding.HUNDRED, "1400"),
        ("105", "0", Rounding.TEN, "110"),
        ("1000", "-100", Rounding.CENT, "0"),
        ("1000", "-12.5", Rounding.ONE, "875"),
    ],
)
def test_limits_change_by_percent_and_are_rounded(
    amount: str, percent: str, rounding: Rounding, expected: str
) -> None:
    assert copies.changed(Decimal(amount), Change(Decimal(percent), rounding)) == Decimal(expected)


def test_a_copy_acts_from_the_next_period_on(here: Cast) -> None:
    made = make_budget(name="Marketing", limit="100", period="month")
    at = timezone.now()

    (step,) = copies.steps([made], Change(Decimal(10), Rounding.CENT), names(), at=at)
    drafts.apply(drafted(here, [step]), names(), by=finance(here), at=at)

    now = standing.current(made, at=at)
    assert now is not None
    assert (step.action, step.after["limit_usd"]) == (Action.REVISE, "110")
    assert step.begins_at == now.ends_at.isoformat()
    assert now.limit == Decimal(100)


def test_a_copy_from_a_day_on_begins_at_its_midnight_in_the_budgets_zone(here: Cast) -> None:
    made = make_budget(name="Marketing", limit="100", time_zone="Europe/Paris")
    at = datetime(2026, 11, 22, tzinfo=UTC)
    change = Change(Decimal(10), Rounding.CENT, date(2027, 1, 1))

    (step,) = copies.steps([made], change, names(), at=at)

    assert step.begins_at == "2026-12-31T23:00:00+00:00"
    past = Change(Decimal(10), Rounding.CENT, date(2026, 1, 1))
    assert copies.steps([made], past, names(), at=at)[0].begins_at == ""


@pytest.mark.parametrize(
    ("name", "days", "following", "called"),
    [
        ("Plan 2026", ("2026-01-01", "2027-01-01"), ("2027-01-01", "2028-01-01"), "Plan 2027"),
        ("Q4", ("2026-10-01", "2027-01-01"), ("2027-01-01", "2027-04-01"), "Q4 (2027-01-01)"),
        ("Trip", ("2026-11-20", "2026-11-30"), ("2026-11-30", "2026-12-10"), "Trip (2026-11-30)"),
    ],
)
def test_after_a_custom_period_another_budget_follows(
    here: Cast, name: str, days: tuple[str, str], following: tuple[str, str], called: str
) -> None:
    span = {"starts_on": days[0], "ends_on": days[1]}
    made = make_budget(name=name, limit="100", period="custom", calendar=span)
    at = timezone.now()

    (step,) = copies.steps([made], Change(Decimal(10), Rounding.CENT), names(), at=at)
    drafts.apply(drafted(here, [step]), names(), by=finance(here), at=at)

    after = budget(called)
    assert step.action is Action.CREATE
    assert (after.calendar["starts_on"], after.calendar["ends_on"]) == following
    assert revisions.limit_of(after) == Decimal(110)
    assert Budget.objects.filter(name=name, archived_at=None).exists()


def test_a_copy_that_exists_or_rounds_to_nothing_is_refused(here: Cast) -> None:
    days = {"starts_on": "2026-01-01", "ends_on": "2027-01-01"}
    old = make_budget(name="Plan 2026", limit="100", period="custom", calendar=days)
    make_budget(name="Plan 2027", limit="100")
    small = make_budget(name="Small", limit="4")
    change = Change(Decimal(0), Rounding.TEN)

    planned = copies.steps([old, small], change, names(), at=timezone.now() + timedelta(1))

    assert [step.action for step in planned] == [Action.ERROR, Action.ERROR]
    assert [step.problems[0].reason for step in planned] == [
        "“Plan 2027” exists already.",
        "The new limit rounds to nothing.",
    ]


def test_nothing_to_change_is_unchanged(here: Cast) -> None:
    made = make_budget(name="Marketing", limit="100")

    (step,) = copies.steps([made], Change(Decimal(0), Rounding.CENT), names(), at=timezone.now())

    assert step.action is Action.UNCHANGED
