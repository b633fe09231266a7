"""People see what waits for them, decide once, and read why something cannot be decided."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from attribution.approvals.models import ApprovalRequest
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from budgets.limits import overrides, raises, revisions
from budgets.limits.overrides import Terms
from tests.cast import Cast
from tests.factories import make_budget
from tests.proposals import make_approval

LIST = reverse("attribution:approval-list")


def address(request: ApprovalRequest) -> str:
    """Return the page of a request."""
    return reverse("attribution:approval-show", args=[request.pk])


def test_who_may_decide_is_told_how_many_wait(ours: Cast) -> None:
    owner, finance = (
        ours.browser(role).get(LIST).content.decode() for role in ("owner", "finance")
    )

    assert "1 request waits for your decision" in owner
    assert "New limit (USD): 900.00" in owner
    assert 'class="nav-count">1' in owner
    assert "nav-count" not in finance
    assert "waits for another person" in finance


@pytest.mark.parametrize(("decision", "limit"), [("approved", "900"), ("rejected", "100")])
def test_a_decision_is_applied_once(ours: Cast, decision: str, limit: str) -> None:
    browser = ours.browser("owner")

    done = browser.post(address(ours.approval), {"decision": decision, "note": "seen"}, follow=True)
    again = browser.post(address(ours.approval), {"decision": "approved"})

    assert done.redirect_chain == [(LIST, 302)]
    assert "Somebody has decided meanwhile" in again.content.decode()
    with tenant(ours.organization.pk):
        ours.approval.refresh_from_db()
        assert revisions.limit_of(ours.budget) == Decimal(limit)
    assert (ours.approval.decision, ours.approval.note) == (decision, "seen")


def test_a_rejection_says_why(ours: Cast) -> None:
    response = ours.browser("owner").post(address(ours.approval), {"decision": "rejected"})

    assert "Say why" in response.content.decode()
    with tenant(ours.organization.pk):
        ours.approval.refresh_from_db()
    assert ours.approval.decision == ""


def test_who_asked_sees_no_button_and_is_refused(ours: Cast) -> None:
    browser = ours.browser("finance")

    page = browser.get(address(ours.approval)).content.decode()
    response = browser.post(address(ours.approval), {"decision": "approved"})

    assert 'value="approved"' not in page
    assert 'value="withdrawn"' in page
    assert response.status_code == 403


def test_who_asked_withdraws(ours: Cast) -> None:
    response = ours.browser("finance").post(address(ours.approval), {"decision": "withdrawn"})

    assert response.status_code == 302
    with tenant(ours.organization.pk):
        ours.approval.refresh_from_db()
    assert ours.approval.decision == "withdrawn"


@pytest.mark.parametrize(("role", "status"), [("auditor", 403), ("engineer", 403)])
def test_nobody_else_decides(ours: Cast, role: str, status: int) -> None:
    response = ours.browser(role).post(address(ours.approval), {"decision": "approved"})

    assert response.status_code == status


def test_the_approver_of_the_budget_decides_without_the_office(ours: Cast) -> None:
    manager = ours.person("manager")
    with tenant(ours.organization.pk):
        Organization.objects.update(raise_needs_approval_above=Decimal(10))
        budget = make_budget(name="Campaign", limit="100", approver=manager)
        asked = raises.set_limit(
            budget,
            Decimal(500),
            at=timezone.now(),
            by=Actor("user", ours.person("finance").pk),
            reason="a fair",
        )
    assert asked is not None
    browser = ours.browser("manager")

    page = browser.get(LIST).content.decode()
    browser.post(address(asked), {"decision": "approved"})

    assert "2 requests wait for your decision" in page
    with tenant(ours.organization.pk):
        assert revisions.limit_of(budget) == Decimal(500)


def test_a_manager_who_is_no_approver_finds_nothing(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        budget = make_budget(name="Secret")
        asked = make_approval(budget=budget, asked_by=ours.person("finance"))

    browser = ours.browser("manager")

    assert "Secret" not in browser.get(LIST).content.decode()
    assert browser.post(address(asked), {"decision": "approved"}).status_code == 404


def test_what_can_no_longer_be_done_is_told(ours: Cast) -> None:
    at = timezone.now()
    with tenant(ours.organization.pk):
        revisions.archive(ours.budget, at=at, by=Actor("user", ours.person("owner").pk))

    response = ours.browser("owner").post(address(ours.approval), {"decision": "approved"})

    assert "can no longer be done" in response.content.decode()
    with tenant(ours.organization.pk):
        ours.approval.refresh_from_db()
    assert ours.approval.decision == ""


def test_an_override_that_waits_is_told_with_its_times(ours: Cast) -> None:
    at = timezone.now()
    with tenant(ours.organization.pk):
        Organization.objects.update(raise_needs_approval_above=Decimal(10))
        terms = Terms(Decimal(50), at, at + timedelta(hours=2), "a launch")
        asked = raises.add_override(
            ours.budget, terms, at=at, by=Actor("user", ours.person("finance").pk)
        )
        assert not overrides.running(at).exists()
    assert asked is not None

    page = ours.browser("owner").get(address(asked)).content.decode()

    assert "Added to the limit (USD)" in page
    assert "Until" in page
