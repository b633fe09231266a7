"""The tenant transaction: one organization at a time, forgotten afterwards, whatever happens inside."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections

from attribution.isolation.scoped import ForeignOrganizationError
from attribution.isolation.transaction import (
    NestedTenantError,
    NoTenantError,
    current,
    required,
    tenant,
)
from attribution.tenancy.models import CostCenter, Organization
from tests.cast import Cast
from tests.factories import make_cost_center, make_organization


def served_by_database() -> str:
    """Return the organization that the database believes to be served."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting('app.organization_id', true), '')")
        (found,) = cursor.fetchone()
    return str(found)


def test_inside_one_organization_is_served_and_outside_none(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        assert required() == ours.organization.pk
        assert served_by_database() == str(ours.organization.pk)

    assert current() is None
    assert served_by_database() == ""


def test_nesting_is_refused(ours: Cast, theirs: Cast) -> None:
    with (
        tenant(ours.organization.pk),
        pytest.raises(NestedTenantError),
        tenant(theirs.organization.pk),
    ):
        pass


def test_an_exception_undoes_the_work_and_forgets_the_organization(ours: Cast) -> None:
    with pytest.raises(LookupError), tenant(ours.organization.pk):
        _fail_after(make_cost_center(code="UNDONE"))

    assert current() is None
    assert served_by_database() == ""
    with tenant(ours.organization.pk):
        assert not CostCenter.objects.filter(code="UNDONE").exists()


def test_managers_raise_outside(db: None) -> None:
    with pytest.raises(NoTenantError):
        CostCenter.objects.all()
    with pytest.raises(NoTenantError):
        CostCenter._base_manager.all()


def test_rows_of_another_organization_are_not_written(ours: Cast, theirs: Cast) -> None:
    foreign = CostCenter(organization=theirs.organization, code="X", name="X")

    with tenant(ours.organization.pk):
        with pytest.raises(ForeignOrganizationError):
            CostCenter.objects.bulk_create([foreign])
        with pytest.raises(ForeignOrganizationError):
            CostCenter.objects.create(organization=theirs.organization, code="X", name="X")


def test_interleaved_requests_of_two_organizations_never_mix(committed: None) -> None:
    organizations = [make_organization().pk for _ in range(2)]
    for organization_id in organizations:
        with tenant(organization_id):
            make_cost_center(code=organization_id.hex)

    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda n: _visits(organizations, range(n, n + 100)), (0, 100))
        seen = [visit for half in halves for visit in half]

    assert all(codes in ([], [org.hex]) for org, codes, _left in seen)
    assert {left for _org, _codes, left in seen} == {""}
    assert sum(not codes for _org, codes, _left in seen) == 20  # every tenth one failed inside


def test_a_stranger_to_the_database_sees_nothing(committed: None) -> None:
    make_organization()

    with tenant(uuid4()):
        assert not Organization.objects.exists()


def _visits(organizations: list[UUID], numbers: range) -> list[tuple[UUID, list[str], str]]:
    """Serve both organizations in turn over one connection."""
    try:
        return [_visit(organizations[number % 2], number) for number in numbers]
    finally:
        connections.close_all()


def _visit(organization_id: UUID, number: int) -> tuple[UUID, list[str], str]:
    codes: list[str] = []
    with suppress(LookupError), tenant(organization_id):
        found = list(CostCenter.objects.values_list("code", flat=True))
        if number % 10 == 0:
            _fail_after(found)
        codes = found
    return organization_id, codes, served_by_database()


def _fail_after(_work: object) -> None:
    raise LookupError
