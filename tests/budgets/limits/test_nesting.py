"""Limits inside that are larger than what they lie in are told of, with the amount."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from budgets.limits import nesting, revisions
from budgets.limits.models import Budget
from budgets.limits.nesting import Excess
from tests.factories import make_budget, make_cost_center, make_department, make_organization

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with tenant(make_organization().pk):
        yield


def found() -> list[tuple[str, list[str], Decimal]]:
    """Return parent, children and amount too much of each excess."""
    excesses = nesting.excesses(nesting.running(timezone.now()), nesting.structure())
    return [
        (one.parent.name, sorted(child.name for child in one.children), one.over)
        for one in excesses
    ]


def make_tree(*limits: str, center: dict[str, Any] | None = None) -> list[Budget]:
    """Create budgets of the organization, a department, one below it, and its cost center."""
    upper = make_department()
    lower = make_department(parent=upper)
    places: list[dict[str, Any]] = [
        {"scope": "organization"},
        {"scope": "department", "scope_id": upper.pk},
        {"scope": "department", "scope_id": lower.pk},
        {
            "scope": "cost_center",
            "scope_id": make_cost_center(department=lower).pk,
            **(center or {}),
        },
    ]
    names = ["all", "upper", "lower", "center"]
    rows = zip(names, limits, places, strict=False)
    return [make_budget(name=name, limit=limit, **place) for name, limit, place in rows]


def test_limits_that_fit_into_each_other_are_silent() -> None:
    make_tree("1000", "500", "500", "200")

    assert found() == []


def test_a_limit_above_any_budget_around_it_is_told() -> None:
    make_tree("1000", "500", "600", "550")

    assert found() == [
        ("upper", ["lower"], Decimal(100)),
        ("upper", ["center"], Decimal(50)),
    ]


@pytest.mark.parametrize(("period", "is_told"), [("day", True), ("month", True), ("year", False)])
def test_only_a_period_as_long_or_longer_lies_around(period: str, *, is_told: bool) -> None:
    make_tree("1000", "1000", "1000", "1500", center={"period": period})

    assert bool(found()) == is_told


def test_the_budgets_of_one_place_are_compared_too() -> None:
    make_budget(name="year", limit="900", period="year")
    make_budget(name="month", limit="1000")

    assert found() == [("year", ["month"], Decimal(100))]


def test_limits_that_add_up_to_more_are_told_with_the_amount() -> None:
    make_budget(name="all", limit="1000")
    for name in ("a", "b", "c"):
        make_budget(name=name, limit="400", scope="cost_center", scope_id=make_cost_center().pk)

    assert found() == [("all", ["a", "b", "c"], Decimal(200))]


def test_a_sum_counts_no_money_twice() -> None:
    department = make_department()
    center = make_cost_center(department=department)
    make_budget(name="all", limit="1000")
    make_budget(name="team", limit="600", scope="department", scope_id=department.pk)
    make_budget(name="inside", limit="600", scope="cost_center", scope_id=center.pk)
    make_budget(name="soft", limit="900", scope="cost_center", scope_id=make_cost_center().pk)
    make_budget(
        name="hard",
        limit="300",
        scope="cost_center",
        scope_id=Budget.objects.get(name="soft").scope_id,
    )
    make_budget(name="user", limit="800", scope="user", scope_value="ana")

    assert found() == []


def test_a_budget_for_some_calls_lies_in_one_for_all_and_not_the_other_way() -> None:
    make_budget(name="all", limit="1000")
    make_budget(name="one model", limit="1200", filters={"models": ["gpt-4.1"]})
    make_budget(name="two models", limit="1100", filters={"models": ["gpt-4.1", "o3"]})

    assert found() == [
        ("all", ["one model"], Decimal(200)),
        ("all", ["two models"], Decimal(100)),
        ("two models", ["one model"], Decimal(100)),
    ]


def test_keys_and_users_lie_in_the_organization() -> None:
    make_budget(name="all", limit="10")
    make_budget(name="ana", limit="20", scope="user", scope_value="ana")

    assert found() == [("all", ["ana"], Decimal(10))]


def test_the_limit_in_force_counts_and_archived_budgets_do_not() -> None:
    everything, upper, *_ = make_tree("1000", "500")
    now = timezone.now()
    revisions.estimate(upper, Decimal(9000), at=now, by=SYSTEM)
    revisions.revise(upper, Decimal(8000), at=now + timedelta(days=40), by=SYSTEM)
    assert found() == []

    revisions.revise(upper, Decimal(1200), at=now, by=SYSTEM)
    assert found() == [("all", ["upper"], Decimal(200))]
    assert set(nesting.everywhere(timezone.now())) == {everything.pk, upper.pk}

    revisions.archive(everything, at=now, by=SYSTEM)
    assert found() == []


def test_a_draft_is_checked_both_ways() -> None:
    _, upper, *_ = make_tree("1000", "500", "400")
    draft = Budget(name="new", scope="department", scope_id=upper.scope_id, period="year")

    def told(limit: str) -> list[tuple[str, str]]:
        excesses = nesting.check(draft, Decimal(limit), at=timezone.now())
        return [(one.parent.name, one.children[0].name) for one in excesses]

    assert told("450") == [("new", "upper")]
    assert told("5000") == []
    draft.period = "month"
    assert told("1500") == [("all", "new")]


def test_an_excess_is_said_in_a_sentence() -> None:
    parent, child = Budget(name="All"), Budget(name="Team")
    one = Excess(parent, Decimal(10), (child,), Decimal(12))
    sum_of_two = Excess(parent, Decimal(10), (child, child), Decimal(12))

    assert one.text(("$12", "$10")) == ("“Team” allows $12, but “All”, in which it lies, only $10.")
    assert sum_of_two.text(("$12", "$10")) == (
        "The 2 budgets in “All” allow $12 together, itself only $10."
    )
