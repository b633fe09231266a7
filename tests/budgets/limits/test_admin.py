"""What finance does with budgets in the admin."""

from decimal import Decimal

import pytest
from django.test import Client

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from budgets.alerts.models import Alert
from budgets.limits.models import Budget, BudgetPeriod
from tests.budgets.limits.filling import ADD, KEPT, filled, point
from tests.cast import Cast
from tests.factories import make_budget, make_cost_center


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


def test_the_form_shows_how_the_budget_stands(ours: Cast, browser: Client) -> None:
    page = browser.get(f"/admin/budgets/budget/{ours.budget.pk}/change/").text

    assert "98.75" in page  # remaining of 100 after 1.25
    assert "1.25" in page


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
