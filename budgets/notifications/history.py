"""What went out: who was told what, through which channel, when, how often it was tried."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from budgets.channels.models import ChannelKind, Topic
from budgets.notifications import paging
from budgets.notifications.models import Notification
from budgets.notifications.words import wording
from budgets.notifications.words.message import Message

STATES = {
    "delivered": (_("delivered"), Q(done_at__isnull=False)),
    "waiting": (_("waits"), Q(done_at=None, given_up_at=None, attempts=0)),
    "retrying": (_("tried again"), Q(done_at=None, given_up_at=None, attempts__gt=0)),
    "failed": (_("given up"), Q(given_up_at__isnull=False)),
}
LEVELS = {"delivered": "good", "waiting": "clock", "retrying": "warn", "failed": "bad"}


@dataclass(frozen=True, slots=True)
class Line:
    """A message as the history shows it."""

    row: Notification
    message: Message

    @property
    def state(self) -> str:
        """Return how it stands."""
        if self.row.done_at is not None:
            return "delivered"
        if self.row.given_up_at is not None:
            return "failed"
        return "retrying" if self.row.attempts else "waiting"

    @property
    def level(self) -> str:
        """Return the icon of its state."""
        return LEVELS[self.state]

    @property
    def word(self) -> str:
        """Return its state in a word."""
        return str(STATES[self.state][0])

    @property
    def can_resend(self) -> bool:
        """Say whether it travels at all: notes in the pages are simply there."""
        return self.row.channel != ChannelKind.IN_APP


@dataclass(frozen=True, slots=True)
class Asked:
    """What the history is narrowed to, from the URL."""

    state: str = ""
    topic: str = ""
    channel: str = ""
    search: str = ""
    before: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> "Asked":
        """Read the URL; what is not known narrows nothing."""
        return cls(
            state=_known(query.get("state", ""), STATES),
            topic=_known(query.get("topic", ""), dict(Topic.choices)),
            channel=_known(query.get("channel", ""), dict(ChannelKind.choices)),
            search=str(query.get("search", "")).strip()[:128],
            before=str(query.get("before", ""))[:80],
        )


def visible(request: OrganizationRequest) -> QuerySet[Notification]:
    """Return the messages this person may look at; not for somebody narrowed to a part."""
    if access.is_narrowed(request):
        raise PermissionDenied
    return Notification.objects.exclude(recipient="").select_related("person", "place")


def message(request: OrganizationRequest, public_id: str) -> Notification:
    """Return a message this person may look at; 404 for any other id."""
    return access.loaded(visible(request), public_id)


def lines(request: OrganizationRequest, asked: Asked, *, now: datetime) -> tuple[list[Line], str]:
    """Return a page of messages, the newest first, and where the next page begins."""
    rows = visible(request)
    if asked.state:
        rows = rows.filter(STATES[asked.state][1])
    if asked.topic:
        rows = rows.filter(topic=asked.topic)
    rows = rows.filter(channel=asked.channel) if asked.channel else rows
    if asked.search:
        rows = rows.filter(recipient__icontains=asked.search)
    found, following = paging.page(rows, asked.before)
    return [line(row, now=now) for row in found], following


def line(row: Notification, *, now: datetime) -> Line:
    """Return a message in words."""
    return Line(row, wording.told(row.topic, row.payload, now=now))


def finding(request: OrganizationRequest) -> str:
    """Say what needs looking at: messages that did not arrive."""
    rows = visible(request)
    failed = rows.filter(STATES["failed"][1]).count()
    late = rows.filter(STATES["retrying"][1]).count()
    if not failed and not late:
        return gettext("Every message arrived or is on its way.")
    names = {"failed": failed, "late": late}
    return gettext("Given up: %(failed)s. Tried again: %(late)s.") % names


def resend(row: Notification, *, by: Actor, at: datetime) -> Notification:
    """Owe a message once more, as a row of its own that names the first; audited."""
    first = row.resends or row
    again = Notification.objects.create(
        topic=row.topic,
        dedupe_key=f"again:{uuid.uuid4()}",
        recipient=row.recipient,
        channel=row.channel,
        person=row.person,
        place=row.place,
        resends=first,
        payload=row.payload,
        created_at=at,
        available_at=at,
    )
    trail.append("notification.resent", by=by, on=first, after={"sent_again_as": str(again.pk)})
    return again


def _known(value: Any, names: dict[str, Any]) -> str:
    return str(value) if value in names else ""
