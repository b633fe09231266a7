"""Downgrade rules in the admin."""

from typing import Any

import pytest
from django.test import Client

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from gateway.routes.models import DowngradeRule
from tests.cast import Cast

URL = "/admin/gateway/downgraderule/"


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def fields(cast: Cast, **more: str) -> dict[str, Any]:
    """Return what a person fills in."""
    return {
        "name": "thrift",
        "is_active": "on",
        "position": "0",
        "budget": str(cast.budget.pk),
        "percent": "75",
        "asked_models": "gpt-4o, claude-*",
        "cost_centers": "OURS-CC",
        "features": "search",
        "to_model": "OURS-route",
        **more,
    }


def test_a_rule_is_kept_as_written_and_acts_on_the_next_call(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        before = Organization.objects.get().policy_epoch

    answer = browser.post(f"{URL}add/", fields(ours))

    assert answer.status_code == 302
    with tenant(ours.organization.pk):
        rule = DowngradeRule.objects.get(name="thrift")
        assert Organization.objects.get().policy_epoch > before
        assert AuditEntry.objects.filter(action="downgraderule.created").exists()
    assert (rule.asked_models, rule.cost_centers, rule.features) == (
        ["gpt-4o", "claude-*"],
        ["OURS-CC"],
        ["search"],
    )


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("to_model", "nowhere", "There is no route for nowhere."),
        ("cost_centers", "NOBODY", "There is no cost center NOBODY."),
        ("asked_models", "", "This field is required."),
        ("percent", "0", "greater than or equal to 0.01"),
    ],
)
def test_a_rule_that_cannot_act_is_refused_with_the_reason(
    ours: Cast, browser: Client, field: str, value: str, said: str
) -> None:
    page = browser.post(f"{URL}add/", fields(ours, **{field: value}))

    assert said in page.text
    with tenant(ours.organization.pk):
        assert not DowngradeRule.objects.filter(name="thrift").exists()


def test_a_budget_of_others_cannot_be_named(ours: Cast, theirs: Cast, browser: Client) -> None:
    page = browser.post(f"{URL}add/", fields(ours, budget=str(theirs.budget.pk)))

    assert page.status_code == 200
    with tenant(ours.organization.pk):
        assert not DowngradeRule.objects.filter(name="thrift").exists()
