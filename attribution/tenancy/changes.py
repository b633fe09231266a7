"""What the audit trail says about one row, in words for its page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from attribution.audit import trail
from attribution.tenancy.models import User

MANY = 10
# What was done, by the last word of an audit entry's action.
WORDS: Mapping[str, Any] = {
    "issued": _("Issued"),
    "created": _("Added"),
    "changed": _("Changed"),
    "rotated": _("Secret replaced"),
    "revoked": _("Revoked"),
    "blocked": _("Blocked"),
    "cut": _("Calls under way cut"),
    "unblocked": _("Unblocked"),
    "resealed": _("Credential replaced"),
    "tested": _("Tested"),
}
PLAIN = {"True": _("yes"), "False": _("no")}


@dataclass(frozen=True, slots=True)
class Change:
    """Who did what, when."""

    at: datetime
    person: str
    text: str


def of(row: models.Model) -> list[Change]:
    """Return what was done to a row, the newest first."""
    entries = list(trail.history(row)[:MANY])
    people = User.objects.in_bulk([entry.actor_id for entry in entries if entry.actor_id])
    return [
        Change(entry.at, str(people.get(entry.actor_id, "")), _told(row, entry))
        for entry in entries
    ]


def _told(row: models.Model, entry: Any) -> str:
    verb = entry.action.rpartition(".")[2]
    word = str(WORDS.get(verb, verb))
    if not entry.before_hash:
        return word  # a new row: its page says what it is
    return " · ".join([word, *_differences(row, entry.changes)])


def _differences(row: models.Model, changes: Mapping[str, list[str | None]]) -> Iterator[str]:
    """Say what became what, for the columns that people fill in."""
    for field in row._meta.concrete_fields:
        if field.attname not in changes or not (field.editable or field.attname == "revoked_at"):
            continue
        label = capfirst(str(field.verbose_name))
        old, new = (_worded(field, value) for value in changes[field.attname])
        yield label if field.is_relation else f"{label}: {old} → {new}"


def _worded(field: Any, value: str | None) -> str:
    if value in {None, "", "[]"}:
        return "—"
    text = str(value)
    if field.choices:
        return str(dict(field.flatchoices).get(text, text))
    if isinstance(field, models.DateTimeField):
        return f"{timezone.localtime(datetime.fromisoformat(text)):%Y-%m-%d %H:%M}"
    if isinstance(field, models.JSONField):
        return text.strip("[]").replace("'", "")
    return str(PLAIN.get(text, text))
