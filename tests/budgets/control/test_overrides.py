"""Overrides over HTTP: granted, approved by a second person, revoked; who may, and what is refused."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from attribution.approvals.models import ApprovalRequest
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization, Role, User
from budgets.limits import standing
from budgets.limits.amounts import BudgetOverride
from budgets.limits.models import Budget
from tests.rollups import Books, books

pytestmark = pytest.mark.usefixtures("committed")
PAGE = "/budgets/overrides/"
ENDED = {"starts_at": "2020-01-01T00:00", "ends_at": "2020-01-02T00:00"}


def test_finance_raises_a_limit_for_a_while_and_takes_it_back(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100")
        person = made.person(Role.FINANCE)
    budget, member = only(made), signed_in(person)

    answer = member.post(f"{PAGE}new/", filled(budget))

    assert answer.status_code == 302
    assert limit_of(made, budget) == Decimal("150.25")
    page = member.get(PAGE).content.decode()
    assert "launch week" in page
    with tenant(made.organization_id):
        override = BudgetOverride.objects.get()
    member.post(f"{PAGE}{override.pk}/revoke/", {"reason": "launch moved"})
    assert limit_of(made, budget) == Decimal(100)
    assert "revoked" in member.get(PAGE).content.decode()


def test_above_the_organization_s_amount_a_second_person_is_asked(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100")
        person = made.person(Role.FINANCE)
    with tenant(made.organization_id):
        Organization.objects.update(raise_needs_approval_above=Decimal(20))
    budget, member = only(made), signed_in(person)

    page = member.post(f"{PAGE}new/", filled(budget), follow=True).content.decode()

    assert "waits for a second person" in page
    assert limit_of(made, budget) == Decimal(100)
    with tenant(made.organization_id):
        assert ApprovalRequest.objects.get().requested_by == person


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"amount": "0"}, "more than 0"),
        ({"amount": "-5"}, "more than 0"),
        (ENDED, "to come"),
        ({"ends_at": "2999-01-01T00:00"}, "change the limit"),
        ({"reason": ""}, "required"),
        ({"budget": "00000000-0000-4000-8000-000000000000"}, "valid choice"),
    ],
)
def test_what_cannot_be_is_said_on_the_form(
    owner_dsn: str, wrong: dict[str, str], word: str
) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100")
        person = made.person(Role.OWNER)
    budget = only(made)

    answer = signed_in(person).post(f"{PAGE}new/", {**filled(budget), **wrong})

    assert answer.status_code == 200
    assert word in answer.content.decode()
    assert limit_of(made, budget) == Decimal(100)


def test_a_foreign_budget_cannot_be_raised(owner_dsn: str) -> None:
    with books(owner_dsn) as theirs:
        theirs.budget("theirs", limit="100")
    with books(owner_dsn) as ours:
        member = signed_in(ours.person(Role.OWNER))
    foreign = only(theirs)

    assert member.post(f"{PAGE}new/", filled(foreign)).status_code == 200
    assert limit_of(theirs, foreign) == Decimal(100)


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ENGINEER, Role.AUDITOR])
def test_others_look_and_do_not_raise(owner_dsn: str, role: Role) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100")
        member = signed_in(made.person(role))

    assert member.get(PAGE).status_code == 200
    assert "Raise for a while" not in member.get(PAGE).content.decode()
    assert member.get(f"{PAGE}new/").status_code == 403
    assert member.post(f"{PAGE}new/", filled(only(made))).status_code == 403


def filled(budget: Budget) -> dict[str, Any]:
    ends = timezone.now() + timedelta(days=3)
    return {
        "budget": str(budget.pk),
        "amount": "50.25",
        "starts_at": "",
        "ends_at": f"{ends:%Y-%m-%dT%H:%M}",
        "reason": "launch week",
    }


def only(made: Books) -> Budget:
    with tenant(made.organization_id):
        return Budget.objects.get()


def limit_of(made: Books, budget: Budget) -> Decimal:
    with tenant(made.organization_id):
        now = standing.current(budget, at=timezone.now())
    assert now is not None
    return now.limit


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client
