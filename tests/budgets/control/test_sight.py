"""Which cost centers a key may book to: the same here as where the gateway and the API ask."""

from typing import Any
from uuid import uuid4

import pytest

from attribution.isolation.transaction import tenant
from attribution.tenancy import access
from attribution.tenancy.models import CostCenter, Department, Organization
from attribution.tenancy.program import Program
from budgets.control import sight
from budgets.control.structure import Held, Structure
from tests.factories import make_cost_center, make_department, make_organization

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"allowed_cost_centers": ("B", "gone")},
        {"is_cost_center_pinned": True},
        {"is_cost_center_pinned": True, "cost_center_id": "B"},
    ],
)
def test_a_key_books_to_the_same_cost_centers_as_access_says(facts: dict[str, Any]) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        rows = {code: make_cost_center(code=code) for code in ("A", "B")}
        Organization.objects.update(default_cost_center_id=rows["A"].pk)
        named = facts.get("cost_center_id")
        place = {"cost_center_id": rows[named].pk} if named else {}
        program = Program(uuid4(), organization.pk, "bot", **(facts | place))

        found = set(sight.books_to(program, shape(program, default=rows["A"])))

        expected = set(access.cost_centers_of(program).values_list("pk", flat=True))
    assert found == expected


def test_what_lies_above_and_below_a_department_ends_even_in_a_circle() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        top = make_department(name="top")
        inside = make_department(name="inside", parent=top)
        top.parent_id = inside.pk  # a row that the database would refuse
        found = Structure({top.pk: top, inside.pk: inside}, {}, {})

        assert found.above(inside.pk) == [inside.pk, top.pk]
        assert found.below(top.pk) == {top.pk, inside.pk}


def shape(program: Program, *, default: CostCenter) -> Structure:
    centers = {row.pk: row for row in CostCenter.objects.all()}
    departments = {row.pk: row for row in Department.objects.all()}
    return Structure(departments, centers, {program.key_id: Held(program)}, default.pk)
