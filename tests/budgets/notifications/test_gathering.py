"""Who is told of a budget, and that each of them is owed one message."""

import pytest

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Membership, Role
from budgets.limits.models import Budget
from budgets.notifications import audience, gathering
from budgets.notifications.models import Notification
from tests.factories import (
    make_budget,
    make_call,
    make_cost_center,
    make_department,
    make_member,
    make_organization,
    make_user,
)

pytestmark = pytest.mark.django_db


def owed() -> list[str]:
    rows = Notification.objects.filter(channel="email")
    return sorted(rows.values_list("recipient", flat=True))


def told_of(budget: Budget) -> list[Membership]:
    return audience.of_budget(budget, audience.departments_of(budget))


def test_owner_finance_and_those_who_manage_it_are_told_and_nobody_else() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        upper = make_department()
        lower = make_department(parent=upper)
        center = make_cost_center(department=lower)
        told = [
            make_member(role=Role.OWNER),
            make_member(role=Role.FINANCE),
            make_member(role=Role.MANAGER),
            make_member(role=Role.MANAGER, department=upper),
            make_member(role=Role.MANAGER, department=lower),
        ]
        make_member(role=Role.MANAGER, department=make_department())
        make_member(role=Role.ENGINEER)
        make_member(role=Role.AUDITOR)
        keeper = make_member(role=Role.ENGINEER)
        budget = make_budget(scope="cost_center", scope_id=center.pk, owner=keeper.user)

        people = told_of(budget)

        assert {person.user_id for person in people} == {
            person.user_id for person in [*told, keeper]
        }


@pytest.mark.parametrize("role", [Role.OWNER, Role.FINANCE])
def test_the_office_of_one_department_hears_of_no_other(role: Role) -> None:
    with tenant(make_organization().pk):
        mine, other = make_department(), make_department()
        narrowed = make_member(role=role, department=mine)

        assert told_of(make_budget(scope="department", scope_id=mine.pk)) == [narrowed]
        assert told_of(make_budget(scope="department", scope_id=other.pk)) == []
        assert told_of(make_budget()) == []


def test_who_has_left_is_not_told() -> None:
    with tenant(make_organization().pk):
        gone = make_member(role=Role.FINANCE)
        gone.is_active = False
        gone.save()
        locked = make_user()
        locked.is_active = False
        locked.save()
        make_member(role=Role.OWNER, user=locked)

        assert told_of(make_budget()) == []


def test_an_event_becomes_one_message_per_person_however_often_it_is_gathered() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        people = [make_member(role=Role.OWNER), make_member(role=Role.FINANCE)]
        make_budget(limit="1", thresholds=["80"])
        make_call(cost="0.9")

    first = gathering.gather(organization.pk)
    second = gathering.gather(organization.pk)

    assert (first, second) == (4, 0)  # a mail and a note in the pages for each
    with tenant(organization.pk):
        assert owed() == sorted(person.user.email for person in people)
        Notification.objects.filter(recipient="").update(done_at=None)  # as if it had died there
    gathering.gather(organization.pk)
    with tenant(organization.pk):
        assert len(owed()) == 2
