"""Finds what is to be told that nobody left an event for: raises of limits, unusual spend."""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from attribution.insights.models import Anomaly, Verdict
from budgets.channels.models import Topic
from budgets.limits.amounts import BudgetOverride
from budgets.notifications import events

RECENT = timedelta(days=3)  # what is older was told, or is no news
SOON = timedelta(hours=24)
MOST = 200


def look(at: datetime) -> int:
    """Leave an event for everything new in the organization being served; return how many.

    Idempotent: an event is left once per topic and subject, whoever looks how often.
    """
    return (
        _overrides(Topic.OVERRIDE_GRANTED, _granted(at))
        + _overrides(Topic.OVERRIDE_EXPIRING, _expiring(at))
        + _anomalies(at)
    )


def _granted(at: datetime) -> QuerySet[BudgetOverride]:
    standing = BudgetOverride.objects.filter(revoked_at=None, ends_at__gt=at)
    return standing.filter(approved_at__gt=at - RECENT, approved_at__lte=at)


def _expiring(at: datetime) -> QuerySet[BudgetOverride]:
    """Return raises that end within a day and were not made for less than two."""
    standing = BudgetOverride.objects.filter(revoked_at=None, approved_at__isnull=False)
    soon = standing.filter(ends_at__gt=at, ends_at__lte=at + SOON, starts_at__lte=at)
    return soon.filter(approved_at__lt=at - SOON)


def _overrides(topic: Topic, found: QuerySet[BudgetOverride]) -> int:
    keys = [str(pk) for pk in found.values_list("pk", flat=True)[:MOST]]
    new = set(keys) - events.known(topic, keys)
    for key in new:
        events.leave(topic, key, {"override_id": key})
    return len(new)


def _anomalies(at: datetime) -> int:
    # by its end, not by when it was found: a small one may grow over the alert threshold days later
    found = Anomaly.objects.filter(
        is_alerting=True, status=Verdict.NEW, ends_at__gt=at - RECENT, found_at__lte=at
    )
    keys = [str(pk) for pk in found.values_list("pk", flat=True)[:MOST]]
    new = set(keys) - events.known(Topic.ANOMALY, keys)
    for key in new:
        events.leave(Topic.ANOMALY, key, {"anomaly_id": key})
    return len(new)
