"""What happened, left in the outbox without a recipient: gathering finds out who is to be told."""

from collections.abc import Mapping

from budgets.channels.models import Topic
from budgets.notifications.models import Notification


def leave(topic: Topic, subject: str, payload: Mapping[str, str | None]) -> None:
    """Leave an event in the caller's transaction; once per topic and subject, however often."""
    event = Notification(topic=topic, dedupe_key=subject, payload=dict(payload))
    Notification.objects.bulk_create([event], ignore_conflicts=True)


def known(topic: Topic, subjects: list[str]) -> set[str]:
    """Return which of these were left already."""
    found = Notification.objects.filter(topic=topic, dedupe_key__in=subjects)
    return set(found.values_list("dedupe_key", flat=True))
