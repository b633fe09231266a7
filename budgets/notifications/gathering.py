"""Turns events that lower floors left into messages owed: one per recipient and channel."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import CostCenter, Department, Membership, Role
from budgets.alerts.models import Alert
from budgets.limits.models import Budget, Scope
from budgets.notifications.models import Notification

THRESHOLD = "budget.threshold"
EMAIL = "email"
MOST = 200  # events of one transaction


def gather(organization_id: UUID) -> int:
    """Address the events of one organization; return how many messages are newly owed.

    Its own transaction. Idempotent: a message is unique by event, channel and person.
    """
    with tenant(organization_id):
        events = Notification.objects.filter(
            topic=THRESHOLD, recipient="", done_at=None
        ).select_for_update(skip_locked=True)
        return sum(_address(event) for event in events.order_by("created_at")[:MOST])


def recipients(budget: Budget) -> list[Membership]:
    """Return who is told about a budget: its owner, owners and finance, and who manages what it covers.

    A manager without a department manages all of them.
    """
    covered = _departments(budget)
    managers = Q(role=Role.MANAGER) & (Q(department=None) | Q(department_id__in=covered))
    told = Q(user_id=budget.owner_id) | Q(role__in=[Role.OWNER, Role.FINANCE]) | managers
    active = Membership.objects.filter(is_active=True, user__is_active=True)
    return list(active.filter(told).select_related("user").order_by("user__email"))


def _address(event: Notification) -> int:
    alert = Alert.objects.select_related("budget_period__budget").get(pk=event.payload["alert_id"])
    people = recipients(alert.budget_period.budget)
    owed = [
        Notification(
            topic=event.topic,
            dedupe_key=f"{event.dedupe_key}:{EMAIL}:{person.user_id}",
            recipient=person.user.email,
            channel=EMAIL,
            payload=event.payload,
            created_at=event.created_at,
        )
        for person in people
    ]
    Notification.objects.bulk_create(owed, ignore_conflicts=True)
    Notification.objects.filter(pk=event.pk).update(done_at=Now())
    return len(owed)


def _departments(budget: Budget) -> set[UUID]:
    """Return the department that a budget belongs to, and those above it."""
    if budget.scope == Scope.DEPARTMENT:
        first = budget.scope_id
    elif budget.scope == Scope.COST_CENTER:
        centers = CostCenter.objects.filter(id=budget.scope_id or UUID(int=0))
        first = centers.values_list("department_id", flat=True).first()
    else:
        return set()
    return set(_upwards(first, dict(Department.objects.values_list("pk", "parent_id"))))


def _upwards(first: UUID | None, parents: dict[UUID, UUID | None]) -> Iterable[UUID]:
    seen: set[UUID] = set()
    current = first
    while current is not None and current not in seen:
        seen.add(current)
        current = parents.get(current)
    return seen
