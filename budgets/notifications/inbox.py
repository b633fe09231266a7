"""What a person is told in the pages: their notes, the newest first, read and unread."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from budgets.channels.models import ChannelKind
from budgets.notifications import paging
from budgets.notifications.models import Acknowledgement, Notification
from budgets.notifications.words import wording
from budgets.notifications.words.message import Message


@dataclass(frozen=True, slots=True)
class Note:
    """A note in words, and who has seen to it."""

    row: Notification
    message: Message
    acknowledged: Acknowledgement | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of notes."""

    notes: list[Note]
    unread: int
    next_before: str


def mine(request: OrganizationRequest) -> QuerySet[Notification]:
    """Return the notes of the person who asks."""
    return Notification.objects.filter(person=request.user, channel=ChannelKind.IN_APP)


def note(request: OrganizationRequest, public_id: str) -> Notification:
    """Return a note of the person who asks; 404 for any other id."""
    return access.loaded(mine(request), public_id)


def unread(request: OrganizationRequest) -> int:
    """Return how many notes the person has not read."""
    return mine(request).filter(read_at=None).count()


def page(request: OrganizationRequest, *, before: str, now: datetime) -> Page:
    """Return the notes from where the page before ended, in words."""
    shown, following = paging.page(mine(request), before)
    seen = _acknowledged(shown)
    notes = [
        Note(
            row,
            wording.told(row.topic, row.payload, now=now),
            seen.get((row.topic, row.payload.get("subject"))),
        )
        for row in shown
    ]
    return Page(notes, unread(request), following)


def told_about(
    request: OrganizationRequest, topic: str, subject: str, *, now: datetime
) -> Message | None:
    """Return in words what a person was told of an event; None when they were not told."""
    row = mine(request).filter(topic=topic, payload__subject=subject).first()
    return wording.told(row.topic, row.payload, now=now) if row else None


def read(rows: QuerySet[Notification], *, at: datetime) -> None:
    """Mark notes as read; the first time counts."""
    rows.filter(read_at=None).update(read_at=at)


def _acknowledged(rows: list[Notification]) -> dict[tuple[str, str | None], Acknowledgement]:
    subjects = [row.payload.get("subject") for row in rows]
    found = Acknowledgement.objects.filter(subject__in=[s for s in subjects if s])
    return {(one.topic, one.subject): one for one in found.select_related("person")}
