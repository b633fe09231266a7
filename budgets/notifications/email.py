"""Writes e-mails: the fact in the subject, the decision first, one button, the reader's language."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone, translation

from attribution.isolation.transaction import required
from attribution.tenancy.models import Organization
from budgets.notifications import acknowledging
from budgets.notifications.models import Notification
from budgets.notifications.words import wording
from budgets.notifications.words.message import Message

# The colour of the bar and of the line on top: beside the words, never instead of them.
COLOURS = {"bad": "#b3261e", "warn": "#8a5a00", "good": "#1d6b3a", "info": "#0b6b6b"}


def compose(owed: Notification, *, now: datetime) -> EmailMultiAlternatives:
    """Write one message that is owed; reads within the caller's tenant transaction."""
    with spoken(owed) as organization:
        message = wording.told(owed.topic, owed.payload, now=now)
        context = _context(owed, message, organization)
        mail = EmailMultiAlternatives(
            subject=message.subject,
            body=render_to_string("email/message.txt", context),
            to=[owed.recipient],
            headers={"Message-ID": message_id(owed), "Auto-Submitted": "auto-generated"},
        )
        mail.attach_alternative(render_to_string("email/message.html", context), "text/html")
    return mail


@contextmanager
def spoken(owed: Notification) -> Iterator[Organization]:
    """Speak the reader's language in the zone of the organization, which is given."""
    organization = Organization.objects.get(pk=required())
    chosen = owed.person.language if owed.person else owed.place.language if owed.place else ""
    language, zone = chosen or organization.locale, organization.time_zone
    with translation.override(language), timezone.override(zone):
        yield organization


def message_id(owed: Notification) -> str:
    """Return the id of a message: the same at every attempt, so that receivers may drop repeats."""
    host = urlsplit(settings.TOLLKEEPER_URL).hostname or "localhost"
    return f"<{owed.pk}@{host}>"


def link(path: str) -> str:
    """Return the address of one of our pages."""
    return f"{settings.TOLLKEEPER_URL}{path}"


def _context(owed: Notification, message: Message, organization: Organization) -> dict[str, Any]:
    token = acknowledging.token(owed) if message.is_acknowledgeable else ""
    return {
        "message": message,
        "language": translation.get_language() or "en",
        "colour": COLOURS[message.level],
        "link": link(message.path),
        "acknowledge": link(acknowledging.path(token)) if token else "",
        "settings": link(acknowledging.settings_path()) if owed.person_id else "",
        "organization": organization.name,
    }
