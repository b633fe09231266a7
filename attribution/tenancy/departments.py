"""Departments and cost centers: moving and retiring them, behind the policy fence."""

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy import policy
from attribution.tenancy.models import CostCenter, Department, Organization


class StillUsedError(ValueError):
    """Something that is needed elsewhere was to be retired."""

    code = "still_used"


def move(department: Department, parent: Department | None, *, by: Actor) -> None:
    """Put a department under another one; calls from now on count in the new tree."""
    policy.changed(required())
    before = trail.snapshot(department)
    department.parent = parent
    department.save(update_fields=["parent"])
    after = trail.snapshot(department)
    trail.append("department.moved", by=by, on=department, before=before, after=after)


def retire(cost_center: CostCenter, *, by: Actor) -> None:
    """Book no new call to a cost center; its history stays. The default one cannot be retired."""
    if Organization.objects.filter(default_cost_center_id=cost_center.pk).exists():
        raise StillUsedError(cost_center.code)
    policy.changed(required())
    before = trail.snapshot(cost_center)
    cost_center.is_active = False
    cost_center.save(update_fields=["is_active"])
    after = trail.snapshot(cost_center)
    trail.append("cost_center.retired", by=by, on=cost_center, before=before, after=after)


def reopen(cost_center: CostCenter, *, by: Actor) -> None:
    """Let calls be booked to a retired cost center again."""
    policy.changed(required())
    before = trail.snapshot(cost_center)
    cost_center.is_active = True
    cost_center.save(update_fields=["is_active"])
    after = trail.snapshot(cost_center)
    trail.append("cost_center.reopened", by=by, on=cost_center, before=before, after=after)
