"""What finance and owners do with cost centers, departments, people and settings in the admin."""

import re
from decimal import Decimal

import pytest
from django.test import Client

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import CostCenter, Department, Membership, Organization, User
from tests.cast import Cast
from tests.factories import make_cost_center, make_department, make_user

CENTERS = "/admin/attribution/costcenter/"
PEOPLE = "/admin/attribution/membership/"
DEPARTMENTS = "/admin/attribution/department/"


@pytest.fixture
def finance(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


@pytest.fixture
def owner(ours: Cast) -> Client:
    """Give the owner's browser."""
    return ours.browser("owner")


def epoch(cast: Cast) -> int:
    """Return the policy epoch of an organization."""
    with tenant(cast.organization.pk):
        return Organization.objects.get().policy_epoch


def test_a_new_cost_center_is_ours_audited_and_known_to_gateways(
    ours: Cast, finance: Client
) -> None:
    before = epoch(ours)

    answer = finance.post(f"{CENTERS}add/", {"code": "LEGAL", "name": "Legal"})

    assert answer.status_code == 302
    with tenant(ours.organization.pk):
        center = CostCenter.objects.get(code="LEGAL")
        entry = AuditEntry.objects.get(action="costcenter.created")
    assert entry.object_id == str(center.pk)
    assert entry.changes["code"] == [None, "LEGAL"]
    assert epoch(ours) == before + 1


def test_a_code_that_is_taken_is_said_at_its_field(ours: Cast, finance: Client) -> None:
    answer = finance.post(f"{CENTERS}add/", {"code": ours.cost_center.code, "name": "Other"})

    assert "code" in answer.context["adminform"].form.errors


def test_a_code_that_only_they_have_is_free(ours: Cast, theirs: Cast, finance: Client) -> None:
    answer = finance.post(f"{CENTERS}add/", {"code": theirs.cost_center.code, "name": "Same"})

    assert answer.status_code == 302


def test_their_department_cannot_be_chosen(ours: Cast, theirs: Cast, finance: Client) -> None:
    form = {"code": "X", "name": "X", "department": str(theirs.department.pk)}

    answer = finance.post(f"{CENTERS}add/", form)

    assert "department" in answer.context["adminform"].form.errors


def test_the_history_of_a_row_is_its_audit_trail(ours: Cast, finance: Client) -> None:
    url = f"{CENTERS}{ours.cost_center.pk}/"
    finance.post(f"{url}change/", {"code": ours.cost_center.code, "name": "Renamed"})

    page = finance.get(f"{url}history/").text

    assert "OURS cost center → Renamed" in page
    assert "OURS finance" in page or ours.person("finance").email in page


def test_retiring_books_no_new_calls_and_deletes_nothing(ours: Cast, finance: Client) -> None:
    chosen = {"_selected_action": [str(ours.cost_center.pk)]}

    finance.post(CENTERS, {"action": "retire", **chosen})

    with tenant(ours.organization.pk):
        assert not CostCenter.objects.get(pk=ours.cost_center.pk).is_active
    assert finance.post(f"{CENTERS}{ours.cost_center.pk}/delete/").status_code == 403


def test_the_default_cost_center_cannot_be_retired(ours: Cast, finance: Client) -> None:
    with tenant(ours.organization.pk):
        Organization.objects.update(default_cost_center_id=ours.cost_center.pk)
    chosen = {"_selected_action": [str(ours.cost_center.pk)]}

    page = finance.post(CENTERS, {"action": "retire", **chosen}, follow=True).text

    assert "default" in page
    with tenant(ours.organization.pk):
        assert CostCenter.objects.get(pk=ours.cost_center.pk).is_active


def test_a_department_is_no_part_of_itself(ours: Cast, finance: Client) -> None:
    with tenant(ours.organization.pk):
        below = make_department(parent=ours.department)
    form = {"name": ours.department.name, "parent": str(below.pk), "is_active": "on"}

    answer = finance.post(f"{DEPARTMENTS}{ours.department.pk}/change/", form)

    assert "parent" in answer.context["adminform"].form.errors


def test_somebody_new_gets_a_password_shown_once(ours: Cast, owner: Client) -> None:
    answer = owner.post(f"{PEOPLE}add/", {"email": "Ana@Example.com", "role": "manager"})

    shown = re.search(r"<code>([^<]+)</code>", answer.text)
    assert shown
    assert User.objects.get(email="ana@example.com").check_password(shown[1])
    assert shown[1] not in owner.get(PEOPLE).text
    with tenant(ours.organization.pk):
        assert Membership.objects.get(user__email="ana@example.com").role == "manager"


def test_somebody_with_an_account_keeps_the_password(ours: Cast, owner: Client) -> None:
    person = make_user(email="known@example.com")

    answer = owner.post(f"{PEOPLE}add/", {"email": "known@example.com", "role": "auditor"})

    assert answer.status_code == 302
    password = person.password
    person.refresh_from_db()
    assert person.password == password


def test_a_member_cannot_be_invited_again(ours: Cast, owner: Client) -> None:
    form = {"email": ours.person("finance").email, "role": "owner"}

    answer = owner.post(f"{PEOPLE}add/", form)

    assert "email" in answer.context["adminform"].form.errors


def test_the_last_owner_stays(ours: Cast, owner: Client) -> None:
    url = f"{PEOPLE}{ours.memberships['owner'].pk}/change/"

    answer = owner.post(url, {"role": "finance", "is_active": "on"})

    assert answer.context["adminform"].form.non_field_errors()


def test_finance_looks_at_people_and_changes_none(ours: Cast, finance: Client) -> None:
    assert finance.get(PEOPLE).status_code == 200
    assert finance.get(f"{PEOPLE}add/").status_code == 403


def test_the_settings_of_the_organization_are_the_owners(
    ours: Cast, finance: Client, owner: Client
) -> None:
    url = f"/admin/attribution/organization/{ours.organization.pk}/change/"
    form = {
        "name": "Renamed",
        "locale": "fr",
        "time_zone": "Europe/Paris",
        "fiscal_start_month": "4",
        "unknown_cost_center": "default",
        "default_cost_center_id": str(ours.cost_center.pk),
        "retention_days": "365",
        "anomaly_call_usd": "0.25",
        "raise_needs_approval_above": "500",
        "anomaly_deviation": "2.5",
        "anomaly_share": "0.3",
        "anomaly_least_usd": "15",
        "anomaly_alert_usd": "75",
    }

    assert finance.post(url, form).status_code == 403
    refused = owner.post(url, {**form, "time_zone": "Paris"})
    assert "time_zone" in refused.context["adminform"].form.errors
    assert owner.post(url, form).status_code == 302
    with tenant(ours.organization.pk):
        organization = Organization.objects.get()
    assert organization.default_cost_center_id == ours.cost_center.pk
    assert (organization.name, organization.retention_days) == ("Renamed", 365)
    assert organization.anomaly_call_usd == Decimal("0.25")
    assert organization.raise_needs_approval_above == Decimal(500)
    assert organization.anomaly_deviation == Decimal("2.5")
    assert organization.anomaly_alert_usd == 75


def test_a_manager_narrowed_to_a_department_sees_its_rows_only(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        outside = make_cost_center(code="OUTSIDE", department=make_department())
        membership = ours.memberships["manager"]
        membership.department = Department.objects.get(pk=ours.department.pk)
        membership.save()
    browser = ours.browser("manager")

    page = browser.get(CENTERS).text

    assert ours.cost_center.code in page
    assert "OUTSIDE" not in page
    assert browser.get(f"{CENTERS}{outside.pk}/change/").status_code == 404
    assert browser.get("/admin/gateway/route/").status_code == 403
    assert "OURS budget" not in browser.get("/admin/budgets/budget/").text


def test_staff_of_the_platform_sees_only_where_it_belongs(ours: Cast, theirs: Cast) -> None:
    person = ours.person("auditor")
    person.is_superuser = person.is_staff = True
    person.save()
    browser = ours.browser("auditor")

    assert browser.get(f"{CENTERS}add/").status_code == 200
    assert theirs.cost_center.code not in browser.get(CENTERS).text
    assert browser.get(f"{CENTERS}{theirs.cost_center.pk}/change/").status_code == 404
