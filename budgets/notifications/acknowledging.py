"""Acknowledging what a message told of: a signed link, and one row for everybody."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core import signing
from django.urls import reverse

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.tenancy.models import User
from budgets.notifications.models import Acknowledgement, Notification

SALT = "tollkeeper acknowledge"
GOOD_FOR_S = 90 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Subject:
    """What a link names: an event of an organization."""

    organization_id: UUID
    topic: str
    subject: str


def token(owed: Notification) -> str:
    """Return the signed name of what a message tells of; it opens nothing by itself."""
    named = [str(owed.organization_id), owed.topic, owed.payload["subject"]]
    return signing.dumps(named, salt=SALT, compress=True)


def read(text: str) -> Subject | None:
    """Return what a link names; None for one that is not ours, was altered or is too old."""
    try:
        organization_id, topic, subject = signing.loads(text, salt=SALT, max_age=GOOD_FOR_S)
    except signing.BadSignature:
        return None
    return Subject(UUID(organization_id), topic, subject)


def path(text: str) -> str:
    """Return where a link leads."""
    return reverse("budgets:notification-acknowledge", args=[text])


def settings_path() -> str:
    """Return where people choose what they are told."""
    return reverse("budgets:subscription-change")


def of(topic: str, subject: str) -> Acknowledgement | None:
    """Return who acknowledged an event, if anybody has."""
    found = Acknowledgement.objects.filter(topic=topic, subject=subject)
    return found.select_related("person").first()


def acknowledge(subject: Subject, *, person: User, by: Actor, at: datetime) -> Acknowledgement:
    """Acknowledge an event for everybody; the first one counts. Audited."""
    made, is_new = Acknowledgement.objects.get_or_create(
        topic=subject.topic, subject=subject.subject, defaults={"person": person, "at": at}
    )
    if is_new:
        trail.append("notification.acknowledged", by=by, on=made, after=trail.snapshot(made))
    return made
