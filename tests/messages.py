"""Channels and messages with valid defaults, made inside `tenant`."""

import uuid
from typing import Any

from django.utils import timezone

from attribution.tenancy.models import User
from budgets.channels.models import Channel
from budgets.notifications.models import Notification
from tests.factories import unique


def make_channel(*, name: str = "", kind: str = "email", **columns: Any) -> Channel:
    """Create a channel: a shared mailbox, unless its kind says otherwise."""
    if kind == "email":
        columns = {"mailbox": f"{unique('box')}@example.com", **columns}
    return Channel.objects.create(name=name or unique("channel"), kind=kind, **columns)


def make_note(person: User, *, mark: str = "", channel: str = "in_app") -> uuid.UUID:
    """Create a message of a raise that ends soon; return its id."""
    now = timezone.now()
    payload = {
        "subject": unique("override"),
        "budget": {"id": str(uuid.uuid4()), "name": f"{mark} budget"},
        "amount": "100",
        "starts_at": now.isoformat(),
        "ends_at": now.isoformat(),
        "reason": f"{mark} reason",
        "requested_by": f"{mark} manager",
        "approved_by": f"{mark} finance",
        "path": "/",
    }
    return Notification.objects.create(
        topic="override.expiring",
        dedupe_key=unique("note"),
        recipient=person.email,
        channel=channel,
        person=person,
        payload=payload,
        done_at=now if channel == "in_app" else None,
    ).pk
