"""What people chose to be told; without a choice the defaults hold."""

from datetime import datetime

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.tenancy.models import User
from budgets.notifications.models import Subscription


def of(person: User) -> Subscription:
    """Return what a person chose, or the defaults, unsaved."""
    return Subscription.objects.filter(person=person).first() or Subscription(person=person)


def choose(subscription: Subscription, *, by: Actor, at: datetime) -> None:
    """Save what a person chose; a summary comes from the next hour of its kind on. Audited."""
    stored = Subscription.objects.filter(pk=subscription.pk).first()
    before = trail.snapshot(stored) if stored else None
    subscription.changed_at = at
    subscription.save()
    after = trail.snapshot(subscription)
    trail.append("subscription.changed", by=by, on=subscription, before=before, after=after)
