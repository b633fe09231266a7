"""Who gets in where, and that nobody reaches another organization."""

import pytest
from django.http import Http404, HttpRequest
from django.test import Client

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.models import Role
from tests.cast import Cast
from tests.factories import make_cost_center, make_department, make_member, make_user

CHANGELISTS = {
    "/admin/attribution/costcenter/": {"owner", "finance", "manager", "auditor"},
    "/admin/attribution/membership/": {"owner", "finance", "auditor"},
    "/admin/attribution/auditentry/": {"owner", "finance", "auditor"},
}


@pytest.mark.parametrize("url", CHANGELISTS)
@pytest.mark.parametrize("role", Role.values)
def test_the_table_decides_who_sees_a_list(ours: Cast, role: str, url: str) -> None:
    answer = ours.browser(role).get(url)

    assert answer.status_code == (200 if role in CHANGELISTS[url] else 403)


def test_a_stranger_is_sent_to_sign_in(db: None) -> None:
    answer = Client().get("/admin/")

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")


def test_a_program_without_session_is_told_so(db: None) -> None:
    answer = Client().get("/admin/", headers={"Accept": "application/json"})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "not_signed_in"


def test_a_person_without_organization_is_refused(db: None) -> None:
    client = Client()
    client.force_login(make_user())

    assert client.get("/admin/").status_code == 403


def test_a_revoked_membership_ends_at_once(ours: Cast) -> None:
    client = ours.browser("finance")
    membership = ours.memberships["finance"]
    with tenant(ours.organization.pk):
        membership.is_active = False
        membership.save()

    assert client.get("/admin/").status_code == 403


def test_theirs_and_missing_are_the_same_404(ours: Cast, theirs: Cast) -> None:
    client = ours.browser("finance")
    missing = "00000000-0000-4000-8000-000000000000"

    answers = [
        client.get(f"/admin/attribution/costcenter/{public_id}/change/")
        for public_id in (theirs.cost_center.pk, missing, "no-id")
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


def test_switching_is_audited_where_one_enters(ours: Cast, theirs: Cast) -> None:
    person = ours.person("manager")
    with tenant(theirs.organization.pk):
        make_member(user=person, role=Role.AUDITOR)
    client = ours.browser("manager")

    client.post("/organization/", {"organization": theirs.organization.slug})

    with tenant(theirs.organization.pk):
        entry = AuditEntry.objects.get(action="organization.entered")
    assert entry.actor_id == person.pk
    assert theirs.organization.name in client.get("/admin/attribution/organization/").text


def test_an_organization_one_does_not_belong_to_cannot_be_entered(ours: Cast, theirs: Cast) -> None:
    client = ours.browser("owner")

    answer = client.post("/organization/", {"organization": theirs.organization.slug})

    assert answer.status_code == 404


def test_loaders_answer_404_for_what_is_not_there(ours: Cast, theirs: Cast) -> None:
    with tenant(ours.organization.pk):
        request = _request(ours, "owner")

        assert access.cost_center(request, str(ours.cost_center.pk)) == ours.cost_center
        for public_id in (str(theirs.cost_center.pk), "", "x"):
            with pytest.raises(Http404):
                access.cost_center(request, public_id)


def test_somebody_narrowed_to_a_department_sees_its_subtree_only(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        below = make_department(parent=ours.department)
        inside = make_cost_center(department=below)
        make_cost_center(department=make_department())
        request = _request(ours, "manager")
        request.membership.department = ours.department

        assert set(access.departments(request)) == {ours.department, below}
        assert set(access.cost_centers(request)) == {ours.cost_center, inside}


def _request(cast: Cast, role: str) -> OrganizationRequest:
    request = OrganizationRequest()
    assert isinstance(request, HttpRequest)
    request.membership = cast.memberships[role]
    return request
