"""The form of a budget keeps every answer, and says at its field what cannot be."""

from decimal import Decimal

import pytest
from django.test import Client

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from budgets.limits import revisions
from budgets.limits.models import Budget, Threshold
from tests.budgets.limits.filling import ADD, change_url, changed, filled, point
from tests.cast import Cast
from tests.factories import make_budget


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def test_a_new_budget_keeps_every_answer(ours: Cast, browser: Client) -> None:
    manager = ours.person("manager")
    thresholds = {
        "thresholds-TOTAL_FORMS": "2",
        "thresholds-0-basis": "forecast",
        "thresholds-0-value": "100",
        "thresholds-0-unit": "percent",
        "thresholds-0-quantile": "p90",
        "thresholds-1-basis": "burn_rate",
        "thresholds-1-value": "3",
        "thresholds-1-unit": "factor",
        "thresholds-1-hours": "24",
        "thresholds-1-quantile": "p50",
    }
    answers = filled(
        period="fiscal",
        pattern="4-4-5",
        anchor="2026-01-05",
        time_zone="Asia/Shanghai",
        models="gpt-5\r\n claude-4 \r\n",
        environments="prod",
        rollover="carry_net",
        rollover_cap="10",
        owner=str(manager.pk),
        approver=str(manager.pk),
        enforcement="elastic",
        **thresholds,
    )

    answer = browser.post(ADD, answers)

    assert answer.status_code == 302, answer.context["errors"]
    with tenant(ours.organization.pk):
        budget = Budget.objects.get(name="Marketing")
        told = {(row.basis, row.value, row.hours, row.quantile) for row in budget.thresholds.all()}
    assert budget.calendar == {"pattern": "4-4-5", "anchor": "2026-01-05"}
    assert budget.filters == {"models": ["claude-4", "gpt-5"], "environments": ["prod"]}
    assert (budget.rollover, budget.rollover_cap) == ("carry_net", Decimal(10))
    assert (budget.owner, budget.approver) == (manager, manager)
    assert (budget.time_zone, budget.enforcement) == ("Asia/Shanghai", "elastic")
    assert told == {
        ("forecast", Decimal(100), None, "p90"),
        ("burn_rate", Decimal(3), 24, "p50"),
    }


@pytest.mark.parametrize(
    ("period", "asked", "kept"),
    [
        ("week", {"week_start": "6"}, {"week_start": 6}),
        ("quarter", {"start_month": "2"}, {"start_month": 2}),
        ("year", {"start_month": "4", "week_start": "6"}, {"start_month": 4}),
        ("month", {"start_month": "4"}, {}),
        ("fiscal", {}, {}),
    ],
)
def test_a_period_keeps_what_it_needs_of_the_calendar(
    ours: Cast, browser: Client, period: str, asked: dict[str, str], kept: dict[str, int]
) -> None:
    answer = browser.post(ADD, filled(period=period, **asked))

    assert answer.status_code == 302, answer.context["errors"]
    with tenant(ours.organization.pk):
        assert Budget.objects.get(name="Marketing").calendar == kept


def test_a_threshold_that_fits_no_basis_is_explained(browser: Client) -> None:
    answers = filled(
        **{
            "thresholds-TOTAL_FORMS": "1",
            "thresholds-0-basis": "burn_rate",
            "thresholds-0-value": "80",
            "thresholds-0-unit": "percent",
            "thresholds-0-quantile": "p50",
        }
    )

    assert "A burn rate is a factor over hours" in browser.post(ADD, answers).text


@pytest.mark.parametrize(
    "wrong",
    [
        {"basis": "burn_rate", "hours": "24"},
        {"basis": "burn_rate", "unit": "factor"},
        {"unit": "factor"},
        {"hours": "24"},
        {"quantile": "p90"},
        {"basis": "forecast", "hours": "1"},
    ],
    ids=str,
)
def test_a_threshold_that_means_nothing_is_explained(
    browser: Client, wrong: dict[str, str]
) -> None:
    thresholds = {"thresholds-TOTAL_FORMS": "1", **point(0, "80", **wrong)}

    answer = browser.post(ADD, filled(**thresholds))

    assert answer.status_code == 200
    assert "A burn rate is a factor over hours" in answer.text


def test_thresholds_may_look_at_a_forecast_and_at_a_burn_rate(ours: Cast, browser: Client) -> None:
    thresholds = {
        "thresholds-TOTAL_FORMS": "3",
        **point(0, "100", basis="forecast", quantile="p90"),
        **point(1, "450", basis="forecast", unit="usd"),
        **point(2, "3", basis="burn_rate", unit="factor", hours="24"),
    }

    answer = browser.post(ADD, filled(**thresholds))

    assert answer.status_code == 302, answer.context["errors"]
    with tenant(ours.organization.pk):
        made = Threshold.objects.filter(budget__name="Marketing").order_by("basis", "unit")
        found = made.values_list("basis", "unit", "value", "quantile", "hours")
        assert list(found) == [
            ("burn_rate", "factor", Decimal(3), "p50", 24),
            ("forecast", "percent", Decimal(100), "p90", None),
            ("forecast", "usd", Decimal(450), "p50", None),
        ]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "OURS budget"}, "name"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "much"}, "limit"),
        ({"covers": "user"}, "covered_user"),
        ({"covers": "cost_center:00000000-0000-4000-8000-000000000000"}, "covers"),
        ({"period": "custom"}, "ends_on"),
        ({"time_zone": "Paris"}, "time_zone"),
        ({"period": "fiscal", "pattern": "4-4-5"}, "anchor"),
        ({"pattern": "4-4-4"}, "pattern"),
        ({"rollover_cap": "-1"}, "rollover_cap"),
        ({"models": "x" * 257}, "models"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    browser: Client, changed: dict[str, str], field: str
) -> None:
    answer = browser.post(ADD, filled(**changed))

    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors


def test_what_stays_is_shown_with_its_reason(ours: Cast, browser: Client) -> None:
    page = browser.get(change_url(ours.budget)).text

    assert "its periods were counted by that" in page
    assert 'name="covers"' not in page
    assert 'name="period"' not in page


def test_a_limit_of_a_day_to_come_is_planned(ours: Cast, browser: Client) -> None:
    answers = changed("OURS budget", limit="250", begins_on="2099-01-01")

    browser.post(change_url(ours.budget), answers)

    with tenant(ours.organization.pk):
        assert revisions.limit_of(ours.budget) == Decimal(100)
    assert "1 Jan 2099 00:00: " in browser.get(change_url(ours.budget)).text


def test_a_raise_above_the_amount_waits_and_is_not_asked_for_twice(
    ours: Cast, browser: Client
) -> None:
    with tenant(ours.organization.pk):
        Organization.objects.update(raise_needs_approval_above=Decimal(50))
        budget = make_budget(name="Campaign", limit="100")
    answers = changed("Campaign", limit="200", reason="a fair")

    asked = browser.post(change_url(budget), answers, follow=True).text
    again = browser.post(change_url(budget), answers).text
    lowered = browser.post(change_url(budget), changed("Campaign", limit="90"))

    assert "until a second person approves the raise" in asked
    assert "waits for a second person already" in again
    assert lowered.status_code == 302
    page = browser.get(change_url(budget)).text
    assert "200.00 USD" in page
    with tenant(ours.organization.pk):
        assert revisions.limit_of(budget) == Decimal(90)


def test_their_cost_center_cannot_be_covered(ours: Cast, theirs: Cast, browser: Client) -> None:
    answer = browser.post(ADD, filled(covers=f"cost_center:{theirs.cost_center.pk}"))

    assert "covers" in answer.context["adminform"].form.errors
