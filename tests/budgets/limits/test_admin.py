"""What finance does with budgets in the admin."""

from decimal import Decimal

import pytest
from django.test import Client

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from budgets.alerts.models import Alert
from budgets.limits.models import Budget, BudgetPeriod, Threshold
from tests.cast import Cast
from tests.factories import make_cost_center

ADD = "/admin/budgets/budget/add/"
NO_THRESHOLDS = {"thresholds-TOTAL_FORMS": "0", "thresholds-INITIAL_FORMS": "0"}


def filled(**changed: str) -> dict[str, str]:
    """Return a form that is valid, with some answers changed."""
    answers = {
        "name": "Marketing",
        "covers": "organization",
        "limit": "500",
        "enforcement": "block",
        "period": "month",
        "wait_ms": "2000",
        **NO_THRESHOLDS,
    }
    return answers | changed


def point(number: int, value: str, **changed: str) -> dict[str, str]:
    """Return a threshold as the form sends it, of actual spend unless changed."""
    answers = {"basis": "actual", "value": value, "unit": "percent", "quantile": "p50", "hours": ""}
    return {f"thresholds-{number}-{name}": text for name, text in (answers | changed).items()}


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def test_a_budget_made_in_the_admin_limits_at_once(ours: Cast, browser: Client) -> None:
    thresholds = {
        "thresholds-TOTAL_FORMS": "1",
        **point(0, "80"),
    }

    answer = browser.post(ADD, filled(covers=f"cost_center:{ours.cost_center.pk}", **thresholds))

    assert answer.status_code == 302, answer.context["errors"]
    with tenant(ours.organization.pk):
        budget = Budget.objects.get(name="Marketing")
        period = BudgetPeriod.objects.filter(budget=budget).earliest("starts_at")
        assert (budget.scope, budget.scope_id) == ("cost_center", ours.cost_center.pk)
        assert (period.limit_amount, period.enforcement) == (Decimal(500), "block")
        assert period.spent == Decimal("1.25")  # what the window has cost already
        assert budget.thresholds.get().value == 80
        assert AuditEntry.objects.filter(action="budget.created", object_id=str(budget.pk)).exists()


def test_a_lowered_limit_acts_at_once_and_tells_of_passed_thresholds(
    ours: Cast, browser: Client
) -> None:
    url = f"/admin/budgets/budget/{ours.budget.pk}/change/"
    inline = browser.get(url).context["inline_admin_formsets"][0].formset
    thresholds = {"thresholds-TOTAL_FORMS": "2", "thresholds-INITIAL_FORMS": "2"}
    for number, form in enumerate(inline.forms[:2]):
        for name in ("id", "basis", "value", "unit", "quantile"):
            thresholds[f"thresholds-{number}-{name}"] = str(form[name].value())
    limit = {"limit": "1.5", "reason": "spring", "name": "OURS budget", "enforcement": "block"}

    answer = browser.post(url, {**limit, "wait_ms": "2000", **thresholds})

    assert answer.status_code == 302, answer.context["errors"]
    with tenant(ours.organization.pk):
        period = BudgetPeriod.objects.filter(budget=ours.budget).earliest("starts_at")
        assert period.limit_amount == Decimal("1.5")
        alert = Alert.objects.get(budget_period=period, threshold=80)
        entry = AuditEntry.objects.get(action="budget.limit_lowered")
    assert alert.actual_at == Decimal("1.25")
    assert entry.changes["limit"] == ["100", "1.5"]
    assert entry.actor_id == ours.person("finance").pk


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


def test_the_form_shows_how_the_budget_stands(ours: Cast, browser: Client) -> None:
    page = browser.get(f"/admin/budgets/budget/{ours.budget.pk}/change/").text

    assert "98.75" in page  # remaining of 100 after 1.25
    assert "1.25" in page


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
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    browser: Client, changed: dict[str, str], field: str
) -> None:
    answer = browser.post(ADD, filled(**changed))

    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors


def test_their_cost_center_cannot_be_covered(ours: Cast, theirs: Cast, browser: Client) -> None:
    answer = browser.post(ADD, filled(covers=f"cost_center:{theirs.cost_center.pk}"))

    assert "covers" in answer.context["adminform"].form.errors


def test_an_archived_budget_stays_as_it_is(ours: Cast, browser: Client) -> None:
    url = "/admin/budgets/budget/"

    browser.post(url, {"action": "archive", "_selected_action": [str(ours.budget.pk)]})

    assert "OURS budget" not in browser.get(url).text
    assert "OURS budget" in browser.get(url + "?state=archived").text
    assert browser.post(f"{url}{ours.budget.pk}/change/", filled()).status_code == 403


def test_a_long_list_takes_as_many_queries_as_a_short_one(
    ours: Cast, browser: Client, django_assert_max_num_queries: object
) -> None:
    with tenant(ours.organization.pk):
        for _ in range(3):
            make_cost_center()

    assert callable(django_assert_max_num_queries)
    with django_assert_max_num_queries(20):
        assert browser.get("/admin/budgets/budget/").status_code == 200


def test_a_manager_looks_and_changes_nothing(ours: Cast) -> None:
    browser = ours.browser("manager")
    url = f"/admin/budgets/budget/{ours.budget.pk}/change/"

    assert browser.get(url).status_code == 200
    assert browser.get(ADD).status_code == 403
    assert browser.post(url, filled()).status_code == 403
