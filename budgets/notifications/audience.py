"""Who is told of what: people by role and department, and the organization's channels."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from attribution.tenancy.models import CostCenter, Department, Membership, Role
from budgets.channels.models import Channel, Topic
from budgets.limits.models import Budget, Scope


def of_budget(budget: Budget, covered: set[UUID]) -> list[Membership]:
    """Return who is told about a budget: its owner, owners and finance, and who manages what it covers.

    A manager without a department manages all of them; who is narrowed to one hears of no other.
    """
    return _people(covered, owner_id=budget.owner_id)


def of_cost_center(center: CostCenter | None, covered: set[UUID]) -> list[Membership]:
    """Return who is told about the spend of a cost center: its owner, owners, finance, managers."""
    return _people(covered, owner_id=center.owner_id if center else None)


def departments_of(budget: Budget) -> set[UUID]:
    """Return the department that a budget belongs to, and those above it."""
    if budget.scope == Scope.DEPARTMENT:
        return upwards(budget.scope_id)
    if budget.scope != Scope.COST_CENTER:
        return set()
    centers = CostCenter.objects.filter(id=budget.scope_id or UUID(int=0))
    return upwards(centers.values_list("department_id", flat=True).first())


def upwards(first: UUID | None) -> set[UUID]:
    """Return a department and those above it."""
    return set(_upwards(first, dict(Department.objects.values_list("pk", "parent_id"))))


def channels(topic: str, covered: set[UUID]) -> list[Channel]:
    """Return the channels that a message about these departments goes to."""
    active = Channel.objects.filter(is_active=True, archived_at=None)
    near = active.filter(Q(department=None) | Q(department_id__in=covered))
    return [one for one in near.order_by("name") if _wants(one, topic)]


def _wants(channel: Channel, topic: str) -> bool:
    return not channel.topics or topic in channel.topics or topic == Topic.TEST


def _people(covered: set[UUID], *, owner_id: UUID | None) -> list[Membership]:
    inside = Q(department=None) | Q(department_id__in=covered)  # of a part one hears that part only
    told = Q(user_id=owner_id) | Q(role__in=[Role.OWNER, Role.FINANCE, Role.MANAGER]) & inside
    active = Membership.objects.filter(is_active=True, user__is_active=True)
    return list(active.filter(told).select_related("user").order_by("user__email"))


def _upwards(first: UUID | None, parents: dict[UUID, UUID | None]) -> Iterable[UUID]:
    seen: set[UUID] = set()
    current = first
    while current is not None and current not in seen:
        seen.add(current)
        current = parents.get(current)
    return seen
