"""A raise above what the organization allows one person waits for another, and is then done as asked."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections
from django.utils import timezone

from attribution.approvals import decisions
from attribution.approvals.models import ApprovalRequest
from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.tenancy import policy
from attribution.tenancy.models import Organization
from budgets.limits import overrides, raises, revisions, standing
from budgets.limits.amounts import BudgetOverride
from budgets.limits.models import Budget
from budgets.limits.overrides import Terms
from tests.cast import Cast
from tests.factories import make_budget, make_organization, make_user


@pytest.fixture
def here(ours: Cast) -> Iterator[Cast]:
    """Serve our organization, where one person may raise a limit by 100."""
    with tenant(ours.organization.pk):
        Organization.objects.update(raise_needs_approval_above=Decimal(100))
        yield ours


def person(cast: Cast, role: str) -> Actor:
    """Return somebody of ours as an actor."""
    return Actor("user", cast.person(role).pk)


def asked(cast: Cast, budget: Budget, amount: str) -> ApprovalRequest | None:
    """Let finance set a limit."""
    return raises.set_limit(
        budget,
        Decimal(amount),
        at=timezone.now(),
        by=person(cast, "finance"),
        reason="a campaign",
    )


def limit(budget: Budget) -> Decimal:
    """Return the limit that calls meet now."""
    now = standing.current(budget, at=timezone.now())
    assert now is not None
    return now.limit


def test_a_raise_above_the_amount_waits_and_acts_once_another_person_agrees(here: Cast) -> None:
    budget = make_budget(limit="500", approver=here.person("manager"))

    request = asked(here, budget, "601")

    assert request is not None
    assert (limit(budget), request.approver) == (Decimal(500), here.person("manager"))
    decisions.approve(request, by=person(here, "owner"), at=timezone.now())
    assert limit(budget) == Decimal(601)
    entry = trail.history(budget)[0]
    assert (entry.action, entry.actor_id) == ("budget.limit_raised", here.person("owner").pk)
    assert entry.changes["reason"] == [None, "a campaign (OURS finance)"]


@pytest.mark.parametrize("amount", ["600", "500", "10"])
def test_what_one_person_may_do_is_done_at_once(here: Cast, amount: str) -> None:
    budget = make_budget(limit="500")

    assert asked(here, budget, amount) is None
    assert limit(budget) == Decimal(amount)


def test_an_organization_without_the_rule_asks_nobody(here: Cast) -> None:
    Organization.objects.update(raise_needs_approval_above=None)
    budget = make_budget(limit="500")

    assert asked(here, budget, "100000") is None
    assert limit(budget) == Decimal(100000)


def test_many_small_raises_count_together(here: Cast) -> None:
    budget = make_budget(limit="500")

    assert asked(here, budget, "590") is None
    assert asked(here, budget, "600") is None
    assert asked(here, budget, "610") is not None
    assert limit(budget) == Decimal(600)


def test_what_was_approved_is_where_the_next_raise_begins(here: Cast) -> None:
    budget = make_budget(limit="500")
    request = asked(here, budget, "1000")
    assert request is not None
    decisions.approve(request, by=person(here, "owner"), at=timezone.now())

    assert asked(here, budget, "1100") is None
    assert asked(here, budget, "1101") is not None


def test_a_planned_raise_keeps_its_day_through_the_approval(here: Cast) -> None:
    budget = make_budget(limit="500")
    begins = timezone.now() + timedelta(days=40)

    request = raises.set_limit(
        budget,
        Decimal(900),
        at=timezone.now(),
        by=person(here, "finance"),
        effective_at=begins,
    )
    assert request is not None
    decisions.approve(request, by=person(here, "owner"), at=timezone.now())

    assert limit(budget) == Decimal(500)
    assert revisions.limit_of(budget, at=begins) == Decimal(900)


def test_a_budget_that_ended_meanwhile_is_not_raised(here: Cast) -> None:
    budget = make_budget(limit="500")
    request = asked(here, budget, "900")
    assert request is not None
    revisions.archive(budget, at=timezone.now(), by=person(here, "finance"))

    with pytest.raises(decisions.OutdatedRequestError):
        decisions.approve(request, by=person(here, "owner"), at=timezone.now())
    request.refresh_from_db()
    assert request.decision == ""


def test_a_rejected_raise_leaves_the_limit(here: Cast) -> None:
    budget = make_budget(limit="500")
    request = asked(here, budget, "900")
    assert request is not None

    decisions.reject(request, by=person(here, "owner"), at=timezone.now())

    assert limit(budget) == Decimal(500)


def override(cast: Cast, budget: Budget, amount: str) -> ApprovalRequest | None:
    """Let finance add money for an hour."""
    at = timezone.now()
    terms = Terms(Decimal(amount), at, at + timedelta(hours=1), "a launch")
    return raises.add_override(budget, terms, at=at, by=person(cast, "finance"))


def test_an_override_above_the_amount_waits_for_another_person(here: Cast) -> None:
    budget = make_budget(limit="500")

    request = override(here, budget, "101")

    assert request is not None
    assert limit(budget) == Decimal(500)
    decisions.approve(request, by=person(here, "owner"), at=timezone.now())
    assert limit(budget) == Decimal(601)
    row = BudgetOverride.objects.get(budget=budget)
    assert (row.requested_by, row.approved_by) == (here.person("finance"), here.person("owner"))


def test_overrides_that_one_person_added_alone_count_together(here: Cast) -> None:
    budget = make_budget(limit="500")

    assert override(here, budget, "60") is None
    assert override(here, budget, "40") is None
    assert override(here, budget, "1") is not None
    assert limit(budget) == Decimal(600)


@pytest.mark.parametrize("is_own", [True, False])
def test_an_override_that_is_rejected_or_withdrawn_never_acts(here: Cast, is_own: bool) -> None:  # noqa: FBT001  # a parameter of the test
    budget = make_budget(limit="500")
    request = override(here, budget, "101")
    assert request is not None

    verb, role = (decisions.withdraw, "finance") if is_own else (decisions.reject, "owner")
    verb(request, by=person(here, role), at=timezone.now())

    assert limit(budget) == Decimal(500)
    assert BudgetOverride.objects.get(budget=budget).revoked_at is not None


def test_an_override_that_was_revoked_while_it_waited_is_not_approved(here: Cast) -> None:
    budget = make_budget(limit="500")
    request = override(here, budget, "101")
    assert request is not None
    overrides.revoke(
        BudgetOverride.objects.get(budget=budget), at=timezone.now(), by=person(here, "finance")
    )

    with pytest.raises(decisions.OutdatedRequestError):
        decisions.approve(request, by=person(here, "owner"), at=timezone.now())
    assert limit(budget) == Decimal(500)


def test_a_raise_approved_for_a_day_to_come_lets_nobody_raise_the_limit_of_now(here: Cast) -> None:
    budget = make_budget(limit="500")
    at = timezone.now()
    planned = raises.set_limit(
        budget,
        Decimal(5000),
        at=at,
        by=person(here, "finance"),
        effective_at=at + timedelta(days=300),
    )
    assert planned is not None
    decisions.approve(planned, by=person(here, "owner"), at=timezone.now())

    assert asked(here, budget, "5000") is not None
    assert limit(budget) == Decimal(500)


def added_at_once() -> list[bool]:
    """Let two people add 60 where one may add 100; return who has to wait for a second person."""
    organization = make_organization(raise_needs_approval_above=Decimal(100))
    people = [Actor("user", make_user().pk) for _ in range(2)]
    with tenant(organization.pk):
        budget = make_budget(limit="500")
    at = timezone.now()
    terms = Terms(Decimal(60), at, at + timedelta(hours=1), "a launch")

    def add(by: Actor) -> bool:
        try:
            with tenant(organization.pk):
                waiting = raises.add_override(budget, terms, at=at, by=by)
                time.sleep(0.5)  # the other one looks before this is committed
                return waiting is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(add, people))


def test_two_people_who_add_overrides_at_once_are_counted_together(committed: None) -> None:
    assert added_at_once() == [False, True]


def test_control_without_the_fence_both_would_be_added(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "changed", lambda organization_id: 0)

    assert added_at_once() == [False, False]
