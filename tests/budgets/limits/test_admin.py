"""What finance does with budgets in the admin."""

from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from budgets.alerts.models import Alert
from budgets.limits import overrides, revisions
from budgets.limits.models import Budget, BudgetPeriod, Threshold
from budgets.limits.overrides import Terms
from tests.cast import Cast
from tests.factories import make_budget, make_cost_center

ADD = "/admin/budgets/budget/add/"
KEPT = {"rollover": "none", "rollover_cap_unit": "percent"}
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
        **KEPT,
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

    answer = browser.post(url, {**limit, "wait_ms": "2000", **KEPT, **thresholds})

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


def change_url(budget: Budget) -> str:
    """Return the form of a budget."""
    return f"/admin/budgets/budget/{budget.pk}/change/"


def changed(name: str, **answers: str) -> dict[str, str]:
    """Return a valid form of a budget that exists."""
    usual = {"name": name, "limit": "100", "enforcement": "block", "wait_ms": "2000"}
    return {**usual, **KEPT, **NO_THRESHOLDS, **answers}


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


def test_the_history_tells_every_change_in_words(ours: Cast, browser: Client) -> None:
    manager = ours.person("manager")
    thresholds = {
        "thresholds-TOTAL_FORMS": "1",
        "thresholds-0-basis": "actual",
        "thresholds-0-value": "90",
        "thresholds-0-unit": "percent",
        "thresholds-0-quantile": "p50",
    }
    answers = changed("OURS budget", limit="250", enforcement="warn", reason="board of 3 May")
    browser.post(change_url(ours.budget), {**answers, **thresholds, "owner": str(manager.pk)})
    at = timezone.now()
    with tenant(ours.organization.pk):
        by = Actor("user", ours.person("owner").pk)
        terms = Terms(Decimal(50), at, at + timedelta(hours=1), "a launch")
        overrides.grant(ours.budget, terms, at=at, by=by)

    page = unescape(browser.get(f"/admin/budgets/budget/{ours.budget.pk}/history/").text)

    assert "Limit raised · Limit (USD): 100 → 250 · Reason: board of 3 May" in page
    assert "Changed · Enforcement: block → warn · Owner: OURS manager" in page
    assert "Threshold added · 90 % of the limit actual spend" in page
    assert "Override granted · Added to the limit (USD): 50" in page
    assert "A second person was asked · Limit when it was asked for (USD): 100.00" in page
    assert "New limit (USD): 900.00" in page
    assert "Added · Limit (USD): 100 · Name: OURS budget" in page


def test_totals_stand_under_the_list_by_what_is_covered(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        center = make_cost_center()
        for limit in ("10", "20"):
            make_budget(limit=limit, scope="cost_center", scope_id=center.pk)

    page = browser.get("/admin/budgets/budget/").text
    narrowed = browser.get("/admin/budgets/budget/?scope__exact=organization").text

    assert 'data-value="30"' in page
    assert 'data-value="30"' not in narrowed


def test_chosen_budgets_go_to_the_copy_and_into_a_file(ours: Cast, browser: Client) -> None:
    url = "/admin/budgets/budget/"
    chosen = {"_selected_action": [str(ours.budget.pk)]}

    copied = browser.post(url, {"action": "copy", **chosen})
    file = browser.post(url, {"action": "download", **chosen}, follow=True)

    assert copied["Location"] == f"/budgets/plans/copy/?budget={ours.budget.pk}"
    assert "budgets.xlsx" in file["Content-Disposition"]
