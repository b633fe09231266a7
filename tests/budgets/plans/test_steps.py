"""A preview says of every row what it would do, and of every cell that cannot be taken why."""

from decimal import Decimal

import pytest

from attribution.imports.workbooks import Line
from budgets.plans import steps
from budgets.plans.steps import Action, HeadingError, Step
from tests.budgets.plans.planning import names, previewed
from tests.cast import Cast
from tests.factories import make_budget, make_cost_center

NEW = {"name": "Marketing 2027", "covers": "cost_center", "covered": "OURS-CC", "limit_usd": "1500"}


def reasons(step: Step) -> list[tuple[str, str]]:
    """Return the cells that cannot be taken, and why."""
    return [(problem.cell, problem.reason) for problem in step.problems]


def test_a_new_name_creates_a_budget_with_what_is_usual(here: Cast) -> None:
    (step,) = previewed(NEW)

    assert (step.action, step.before, step.problems) == (Action.CREATE, None, [])
    assert (step.after["period"], step.after["enforcement"]) == ("month", "warn")


def test_a_known_name_revises_what_differs_and_keeps_what_is_no_column(here: Cast) -> None:
    make_budget(name="Marketing", limit="100", thresholds=["80"])

    same, other = (
        previewed({"name": "Marketing", "limit_usd": limit})[0] for limit in ("100.00", "250")
    )

    assert (same.action, same.changed) == (Action.UNCHANGED, [])
    assert other.action is Action.REVISE
    assert other.changed == [("limit_usd", "100", "250")]
    assert other.after["thresholds"] == "80%"


def test_an_empty_cell_clears_what_may_change(here: Cast) -> None:
    make_budget(name="Marketing", limit="100", thresholds=["80"])

    (step,) = previewed({"name": "Marketing", "limit_usd": "100", "thresholds": "", "covers": ""})

    assert step.changed == [("thresholds", "80%", "")]


def test_what_a_budget_covers_and_how_it_cuts_time_stays(here: Cast) -> None:
    make_budget(name="Marketing", limit="100")

    (step,) = previewed({"name": "Marketing", "limit_usd": "100", "period": "year"})

    assert step.action is Action.ERROR
    assert reasons(step) == [
        ("C2", "It is “month” and stays so: archive the budget and add another one.")
    ]


@pytest.mark.parametrize(
    ("cells", "cell", "reason"),
    [
        ({"limit_usd": "-5"}, "D2", "negative"),
        ({"limit_usd": "1,500"}, "D2", "could be"),
        ({"limit_usd": "a lot"}, "D2", "not a number"),
        ({"limit_usd": ""}, "D2", "empty"),
        ({"name": ""}, "A2", "empty"),
        ({"name": "x" * 129}, "A2", "longer"),
        ({"covered": "NOWHERE"}, "C2", "There is no cost center “NOWHERE”"),
        ({"covered": ""}, "C2", "Name what the budget covers"),
        ({"covered": "00000000-0000-4000-8000-000000000001"}, "C2", "There is no"),
        ({"covers": "", "covered": ""}, "B2", "Say what the budget covers"),
        ({"covers": "team"}, "B2", "unknown; known are organization"),
        ({"covers": "organization"}, "C2", "leave the cell empty"),
        ({"enforcement": "strict"}, "E2", "unknown; known are observe"),
        ({"owner": "stranger@example.com"}, "E2", "nobody of this organization"),
        ({"owner": "stranger"}, "E2", "no e-mail address"),
        ({"period": "custom"}, "ends_on", "a first day before its end"),
        ({"pattern": "4-4-5"}, "anchor", "first day of a fiscal year"),
        ({"pattern": "4-4-4"}, "E2", "known are 4-4-5"),
        ({"time_zone": "Mars/Olympus"}, "E2", "Europe/Paris"),
        ({"wait_ms": "90000"}, "E2", "whole number"),
        ({"shorten": "maybe"}, "E2", "neither yes nor no"),
        ({"starts_on": "1.2.2027"}, "E2", "not a day"),
        ({"thresholds": "often"}, "E2", "no threshold"),
        ({"carry": "all"}, "E2", "known are none"),
    ],
)
def test_a_cell_that_cannot_be_taken_says_why(
    here: Cast, cells: dict[str, str], cell: str, reason: str
) -> None:
    (step,) = previewed({**NEW, **cells})

    assert step.action is Action.ERROR
    assert [place for place, _text in reasons(step)] == [cell]
    assert reason in reasons(step)[0][1]


def test_a_name_twice_in_the_file_is_told_at_the_second(here: Cast) -> None:
    first, second = previewed(NEW, {**NEW, "limit_usd": "1"})

    assert first.action is Action.CREATE
    assert reasons(second) == [("A3", "“Marketing 2027” stands in row 2 already.")]


def test_a_name_that_several_share_needs_the_id(here: Cast) -> None:
    known = names()
    twins = {**known.by_word, "department": {}}
    ambiguous = type(known)(twins, known.by_id, known.people, {"department": frozenset({"Twin"})})
    lines = [
        Line(1, dict(enumerate(["name", "covers", "covered", "limit_usd"]))),
        Line(2, {0: "T", 1: "department", 2: "Twin", 3: Decimal(5)}),
    ]

    (step,) = steps.steps(lines, ambiguous)

    assert "the name of several" in step.problems[0].reason


@pytest.mark.parametrize(
    ("heading", "reason"),
    [
        (["name", "limit_usd", "colour"], "C1 “colour”"),
        (["name"], "limit_usd is missing"),
        (["name", "limit_usd", "Name"], "name stands there twice"),
    ],
)
def test_a_heading_that_is_none_of_ours_is_refused(
    here: Cast, heading: list[str], reason: str
) -> None:
    with pytest.raises(HeadingError, match=reason):
        steps.steps([Line(1, dict(enumerate(heading)))], names())
    with pytest.raises(HeadingError, match="empty"):
        steps.steps([], names())


def test_the_example_of_the_template_is_no_budget(here: Cast) -> None:
    assert previewed({**NEW, "name": "# example: Marketing 2027"}) == []


def test_totals_stand_by_what_is_covered_before_and_after(here: Cast) -> None:
    make_cost_center(code="SALES")
    make_budget(name="Whole", limit="1000")
    planned = previewed(
        NEW,
        {"name": "Whole", "limit_usd": "1200"},
        {**NEW, "name": "Sales", "covered": "SALES", "limit_usd": "300"},
        {**NEW, "name": "Broken", "limit_usd": "-1"},
    )

    assert steps.totals(planned) == {
        ("cost_center", "month"): (0, Decimal(0), 2, Decimal(1800)),
        ("organization", "month"): (1, Decimal(1000), 1, Decimal(1200)),
    }


def test_a_step_comes_back_from_where_it_is_kept(here: Cast) -> None:
    for step in previewed(NEW, {**NEW, "limit_usd": "x"}):
        assert Step.from_dict(step.as_dict()) == step
