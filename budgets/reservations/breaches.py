"""Calls that cost more than their hold: their kind is refused under hard budgets until a person clears it."""

from collections.abc import Iterable
from datetime import datetime

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy import policy
from budgets.reservations.models import BoundBreach


def clear(chosen: Iterable[int], *, at: datetime, by: Actor) -> int:
    """Let hard budgets admit such calls again, within seconds; return how many kinds."""
    policy.changed(required())
    open_ones = BoundBreach.objects.filter(pk__in=list(chosen), cleared_at=None)
    found = list(open_ones.select_for_update().order_by("pk"))
    for breach in found:
        before = trail.snapshot(breach)
        breach.cleared_at, breach.cleared_by_id = at, by.id
        breach.save(update_fields=["cleared_at", "cleared_by_id"])
        trail.append(
            "bound_breach.cleared", by=by, on=breach, before=before, after=trail.snapshot(breach)
        )
    return len(found)
