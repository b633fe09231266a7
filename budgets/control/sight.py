"""Which budgets a person may look at; everything else is the same 404."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from attribution.tenancy import access, roles
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.program import Program
from budgets.control.structure import Structure
from budgets.limits.models import Budget, Scope


def budgets(request: OrganizationRequest, structure: Structure) -> QuerySet[Budget]:
    """Return the budgets this person may look at, the archived included.

    An engineer sees those over calls of their keys, as `GET /v1/budgets` tells them to the keys; a
    person narrowed to a department what lies in it; and everybody those they own.
    """
    rows = Budget.objects.select_related("owner")
    own = Q(owner=request.user)
    if access.role_of(request) == roles.ENGINEER:
        rows = rows.filter(own | over_calls(request, structure))
    if access.is_narrowed(request):
        rows = rows.filter(own | _inside(structure))
    return rows


def budget(request: OrganizationRequest, structure: Structure, public_id: str) -> Budget:
    """Return a budget this person may look at; 404 for any other id."""
    return access.loaded(budgets(request, structure), public_id)


def over_calls(request: OrganizationRequest, structure: Structure) -> Q:
    """Return what finds the budgets over calls of this person's keys.

    A key that hides amounts from its programs hides them from its holder here.
    """
    programs = [h.program for h in structure.keys.values() if h.is_alive and not h.is_amount_hidden]
    if not programs:
        return Q(pk__in=[])
    centers = {row_id for program in programs for row_id in books_to(program, structure)}
    homes = (structure.centers[row_id].department_id for row_id in centers)
    departments = {above for home in homes for above in structure.above(home)}
    users = {program.user_name for program in programs} | {request.user.email}
    return (
        Q(scope=Scope.ORGANIZATION)
        | Q(scope=Scope.DEPARTMENT, scope_id__in=departments)
        | Q(scope=Scope.COST_CENTER, scope_id__in=centers)
        | Q(scope=Scope.API_KEY, scope_id__in=[program.key_id for program in programs])
        | Q(scope=Scope.USER, scope_value__in=users - {""})
    )


def books_to(program: Program, structure: Structure) -> Iterable[UUID]:
    """Return the cost centers that a key may book to: access's rule, without a query per key."""
    if program.is_cost_center_pinned:
        only = program.cost_center_id or structure.default_center_id
        return [only] if only and only in structure.centers else []
    if program.allowed_cost_centers:
        rows = structure.centers.values()
        return [row.pk for row in rows if row.code in program.allowed_cost_centers]
    return list(structure.centers)


def _inside(structure: Structure) -> Q:
    return (
        Q(scope=Scope.DEPARTMENT, scope_id__in=list(structure.departments))
        | Q(scope=Scope.COST_CENTER, scope_id__in=list(structure.centers))
        | Q(scope=Scope.API_KEY, scope_id__in=list(structure.keys))
    )
