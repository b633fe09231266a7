"""Budgets within budgets: where a limit inside is larger than what it lies in. Warns, never refuses."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.utils.translation import gettext

from attribution.tenancy.models import CostCenter, Department
from budgets.limits import revisions
from budgets.limits.amounts import LimitVersion, VersionKind
from budgets.limits.models import Budget, PeriodKind, Scope
from budgets.limits.periods import PeriodSpec

Place = tuple[str, UUID | str | None]
DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365, "fiscal": 365}
WEEKS_OF_A_PERIOD = 30  # a fiscal period of weeks is taken for a month
SUMMED = {Scope.DEPARTMENT, Scope.COST_CENTER}  # keys and users may overlap with anything


@dataclass(frozen=True, slots=True)
class Excess:
    """A budget whose limit is smaller than what lies in it: one budget, or several together."""

    parent: Budget
    limit: Decimal
    children: tuple[Budget, ...]
    amount: Decimal  # of the one child, or of all of them together

    @property
    def over(self) -> Decimal:
        """Return by how much."""
        return self.amount - self.limit

    def text(self, amounts: tuple[str, str]) -> str:
        """Say it, with amount and limit as the page writes money."""
        names = {"parent": self.parent.name, "amount": amounts[0], "limit": amounts[1]}
        if len(self.children) == 1:
            return gettext(
                "“%(child)s” allows %(amount)s, but “%(parent)s”, in which it lies, only %(limit)s."
            ) % {**names, "child": self.children[0].name}
        return gettext(
            "The %(count)s budgets in “%(parent)s” allow %(amount)s together, itself only %(limit)s."
        ) % {**names, "count": len(self.children)}


@dataclass(frozen=True, slots=True)
class Limited:
    """A budget, its limit, the place it covers and the days of its period."""

    budget: Budget
    limit: Decimal
    place: Place
    days: int


@dataclass(frozen=True, slots=True)
class Structure:
    """What lies in what: the department above each department and each cost center."""

    departments: Mapping[UUID, UUID | None]
    centers: Mapping[UUID, UUID | None]

    def around(self, place: Place) -> list[Place]:
        """Return a place and those it lies in, the nearest first."""
        scope, row_id = place
        found = [place]
        above: UUID | None = None
        if scope == Scope.COST_CENTER and isinstance(row_id, UUID):
            above = self.centers.get(row_id)
        elif scope == Scope.DEPARTMENT and isinstance(row_id, UUID):
            above = self.departments.get(row_id)
        while above is not None and (Scope.DEPARTMENT.value, above) not in found:
            found.append((Scope.DEPARTMENT.value, above))
            above = self.departments.get(above)
        if scope != Scope.ORGANIZATION:
            found.append((Scope.ORGANIZATION.value, None))
        return found


def check(budget: Budget, limit: Decimal, *, at: datetime) -> list[Excess]:
    """Return what a budget, a draft perhaps, would exceed or not suffice for with a limit."""
    organization = revisions.organization()
    draft = Limited(
        budget, limit, place_of(budget), days_of(revisions.spec_of(budget, organization))
    )
    others = [one for one in running(at) if one.budget.pk != budget.pk]
    return [
        found
        for found in excesses([*others, draft], structure())
        if budget.pk in {found.parent.pk, *(child.pk for child in found.children)}
    ]


def everywhere(at: datetime) -> dict[UUID, list[Excess]]:
    """Return every excess of the organization's budgets, by the budget that lies inside or around."""
    found: dict[UUID, list[Excess]] = defaultdict(list)
    for excess in excesses(running(at), structure()):
        for budget in (excess.parent, *excess.children):
            found[budget.pk].append(excess)
    return dict(found)


def excesses(limited: Iterable[Limited], around: Structure) -> list[Excess]:
    """Return where a limit is above that of an equal or longer period around it, or where the
    limits inside add up to more than an equal period around them; the largest excess first.

    Of several budgets of one place the smallest limit counts in a sum, and of places within
    places the outer one.
    """
    rows = list(limited)
    inside: dict[UUID, list[Limited]] = defaultdict(list)
    found = []
    for child, parent in _nested(rows, around):
        if child.limit > parent.limit:
            found.append(Excess(parent.budget, parent.limit, (child.budget,), child.limit))
        if _adds_up(child, parent):
            inside[parent.budget.pk].append(child)
    for parent in rows:
        found += _sum_over(parent, inside[parent.budget.pk], around)
    return sorted(found, key=lambda excess: (-excess.over, excess.parent.name))


def running(at: datetime) -> list[Limited]:
    """Return the budgets that limit something, with the version in force."""
    organization = revisions.organization()
    budgets = Budget.objects.filter(archived_at=None).order_by("name")
    limits = _limits(at)
    return [
        Limited(one, limits[one.pk], place_of(one), days_of(revisions.spec_of(one, organization)))
        for one in budgets
        if one.pk in limits
    ]


def structure() -> Structure:
    """Read what lies in what."""
    return Structure(
        dict(Department.objects.values_list("pk", "parent_id")),
        dict(CostCenter.objects.values_list("pk", "department_id")),
    )


def place_of(budget: Budget) -> Place:
    """Return what a budget covers."""
    return budget.scope, budget.scope_id or budget.scope_value or None


def days_of(spec: PeriodSpec) -> int:
    """Return about how many days a period has."""
    if spec.kind == PeriodKind.CUSTOM and spec.starts_on and spec.ends_on:
        return (spec.ends_on - spec.starts_on).days
    return WEEKS_OF_A_PERIOD if spec.pattern else DAYS[spec.kind]


def _nested(rows: list[Limited], around: Structure) -> Iterator[tuple[Limited, Limited]]:
    by_place: dict[Place, list[Limited]] = defaultdict(list)
    for row in rows:
        by_place[row.place].append(row)
    for child in rows:
        for place in around.around(child.place):
            for parent in by_place.get(place, ()):
                if _lies_in(child, parent):
                    yield child, parent


def _lies_in(child: Limited, parent: Limited) -> bool:
    is_other = (child.place, child.days, child.budget.filters) != (
        *(parent.place, parent.days, parent.budget.filters),
    )
    return is_other and child.days <= parent.days and _narrows(child.budget, parent.budget)


def _narrows(child: Budget, parent: Budget) -> bool:
    """Say whether each call that the child's filters take is taken by the parent's."""
    return all(
        name in child.filters and set(child.filters[name]) <= set(wanted)
        for name, wanted in parent.filters.items()
    )


def _adds_up(child: Limited, parent: Limited) -> bool:
    is_inside = child.place != parent.place and child.place[0] in SUMMED
    is_alike = child.days == parent.days and child.budget.filters == parent.budget.filters
    return is_inside and is_alike


def _sum_over(parent: Limited, inside: list[Limited], around: Structure) -> list[Excess]:
    smallest: dict[Place, Limited] = {}
    for row in inside:
        if row.place not in smallest or row.limit < smallest[row.place].limit:
            smallest[row.place] = row
    outer = [
        row
        for place, row in smallest.items()
        if not any(above in smallest for above in around.around(place)[1:])
    ]
    total = sum((row.limit for row in outer), start=Decimal(0))
    if len(outer) < 2 or total <= parent.limit:
        return []
    return [Excess(parent.budget, parent.limit, tuple(row.budget for row in outer), total)]


def _limits(at: datetime) -> dict[UUID, Decimal]:
    """Return the limit version in force of every budget; the last one read of each counts."""
    versions = LimitVersion.objects.filter(budget__archived_at=None)
    in_force = revisions.in_force(versions.exclude(kind=VersionKind.ESTIMATE), at=at)
    return dict(in_force.values_list("budget_id", "amount"))
