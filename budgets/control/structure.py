"""The organization as one person may see it: departments, cost centers, keys, and what lies in what."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.models import CostCenter, Department
from attribution.tenancy.program import Program
from budgets.limits.models import Budget, Scope


@dataclass(frozen=True, slots=True)
class Held:
    """An API key that a person may look at, as the package of keys tells it."""

    program: Program
    is_alive: bool = True
    is_amount_hidden: bool = False


KeySource = Callable[[OrganizationRequest], Iterable[Held]]
SOURCES: list[KeySource] = []  # packages above add theirs


@dataclass(frozen=True, slots=True)
class Structure:
    """What lies in what; rows that the person may not see are not in it."""

    departments: Mapping[UUID, Department]
    centers: Mapping[UUID, CostCenter]
    keys: Mapping[UUID, Held]
    default_center_id: UUID | None = None
    _below: dict[UUID, frozenset[UUID]] = field(default_factory=dict)

    def above(self, department_id: UUID | None) -> list[UUID]:
        """Return a department and those it is part of, the nearest first."""
        found: list[UUID] = []
        while department_id and department_id in self.departments and department_id not in found:
            found.append(department_id)
            department_id = self.departments[department_id].parent_id
        return found

    def below(self, top: UUID) -> frozenset[UUID]:
        """Return a department and all that are part of it."""
        if top not in self._below:
            inside = (one for one in self.departments if top in self.above(one))
            self._below[top] = frozenset(inside)
        return self._below[top]

    def home_of(self, key_id: UUID | None) -> UUID | None:
        """Return the cost center that a key books to unless a call says otherwise."""
        held = self.keys.get(key_id) if key_id else None
        return (held.program.cost_center_id or self.default_center_id) if held else None

    def centers_under(self, budget: Budget) -> frozenset[UUID] | None:
        """Return the cost centers that a budget's scope covers; None when it is not made of them."""
        if budget.scope == Scope.ORGANIZATION:
            return frozenset(self.centers)
        if budget.scope == Scope.COST_CENTER and budget.scope_id:
            return frozenset({budget.scope_id})
        if budget.scope == Scope.DEPARTMENT and budget.scope_id:
            inside = self.below(budget.scope_id)
            rows = self.centers.values()
            return frozenset(row.pk for row in rows if row.department_id in inside)
        return None

    def place(self, budget: Budget) -> str:
        """Name what a budget covers, without the kind of it."""
        row_id = budget.scope_id
        if row_id is None:
            return budget.scope_value
        if budget.scope == Scope.DEPARTMENT and row_id in self.departments:
            return self.departments[row_id].name
        if budget.scope == Scope.COST_CENTER and row_id in self.centers:
            center = self.centers[row_id]
            return f"{center.code} · {center.name}" if center.name != center.code else center.code
        if budget.scope == Scope.API_KEY and row_id in self.keys:
            return self.keys[row_id].program.name
        return budget.scope_value


def of(request: OrganizationRequest) -> Structure:
    """Read the organization as this person may see it."""
    return Structure(
        {row.pk: row for row in access.departments(request).order_by("name")},
        {row.pk: row for row in access.cost_centers(request).order_by("created_at", "code")},
        {held.program.key_id: held for source in SOURCES for held in source(request)},
        request.organization.default_cost_center_id,
    )
