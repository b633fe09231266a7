"""Every change of a budget in words: who did what, what it was and what it became, and why."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from attribution.approvals.decisions import KINDS
from attribution.approvals.models import ApprovalRequest
from attribution.audit.models import AuditEntry
from attribution.templatetags.tollkeeper import instant_text
from attribution.tenancy.admin import HistoryLine
from attribution.tenancy.models import User
from budgets.limits.models import Budget, Threshold

Changes = Mapping[str, list[str | None]]
DASH = "—"
PLAIN = {"True": _("yes"), "False": _("no"), "{}": DASH, "": DASH}
REQUEST = "approvalrequest"
PEOPLE = frozenset({"owner_id", "approver_id"})
VERBS = {
    "budget.created": _("Added"),
    "budget.changed": _("Changed"),
    "budget.archived": _("Archived: it limits nothing any more"),
    "budget.limit_raised": _("Limit raised"),
    "budget.limit_lowered": _("Limit lowered"),
    "budget.estimated": _("Latest estimate"),
    "budget.thresholds_changed": _("Thresholds changed"),
    "budget.override_requested": _("Override asked for"),
    "budget.override_granted": _("Override granted"),
    "budget.override_revoked": _("Override ended early"),
    "budget.override_declined": _("Override declined"),
    "budget.override_expired": _("Override ended"),
    "threshold.created": _("Threshold added"),
    "threshold.changed": _("Threshold changed"),
    "threshold.deleted": _("Threshold removed"),
    "approval.requested": _("A second person was asked"),
    "approval.approved": _("A second person approved"),
    "approval.rejected": _("A second person rejected"),
    "approval.withdrawn": _("The request was withdrawn"),
}
WORDS = {
    "limit": _("limit (USD)"),
    "estimate": _("estimate (USD)"),
    "thresholds": _("thresholds"),
    "amount": _("added to the limit (USD)"),
    "from": _("from"),
    "until": _("until"),
    "reason": _("reason"),
    "note": _("note"),
}
INSTANTS = frozenset({"from", "until"})
# What only machines read, or what the page says elsewhere.
SILENT = frozenset(
    {"id", "override", "budget_id", "scope_id", "created_at", "requested_by", "approved_by"}
)


def entries(budget: Budget) -> QuerySet[AuditEntry]:
    """Return the audit entries about a budget and the requests about it, the newest first."""
    asked = ApprovalRequest.objects.filter(
        Q(subject_id=str(budget.pk)) | Q(payload__budget_id=str(budget.pk))
    )
    requests = [str(one) for one in asked.values_list("pk", flat=True)]
    about = Q(object_type="budget", object_id=str(budget.pk))
    about |= Q(object_type=REQUEST, object_id__in=requests)
    return AuditEntry.objects.filter(about).order_by("-at", "-id")


def lines(found: Iterable[AuditEntry]) -> list[HistoryLine]:
    """Return audit entries as lines for people."""
    rows = list(found)
    named = [row.actor_id for row in rows if row.actor_id]
    named += [UUID(one) for row in rows for one in _people(row.changes)]
    people = User.objects.in_bulk(named)
    names = {str(person.pk): str(person) for person in people.values()}
    names |= _asked(row.object_id for row in rows if row.object_type == REQUEST)
    return [HistoryLine(row.at, people.get(row.actor_id), told(row, names)) for row in rows]


def _asked(ids: Iterable[str]) -> dict[str, str]:
    """Return what requests ask for, in words, by their ids."""
    found = ApprovalRequest.objects.filter(pk__in=[*ids])
    return {
        str(row.pk): " · ".join(f"{label}: {value}" for label, value in KINDS[row.kind].tell(row))
        for row in found
        if row.kind in KINDS
    }


def told(entry: AuditEntry, names: Mapping[str, str]) -> str:
    """Return what an entry says, in one line of words."""
    verb = str(VERBS.get(entry.action, entry.action))
    tell = _told_request if entry.object_type == REQUEST else _told_columns
    if entry.action == "budget.created":
        tell = _told_new
    if entry.action.startswith("threshold."):
        tell = _told_threshold
    facts = [names.get(entry.object_id, ""), *tell(entry.changes, names)]
    return " · ".join([verb, *(part for part in facts if part)])


def _told_columns(changes: Changes, names: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for column, (old, new) in sorted(changes.items()):
        if label := _label(column):
            worded = _reader(column, names)
            found.append(_difference(label, worded(old), worded(new)))
    return found


def _told_new(changes: Changes, names: Mapping[str, str]) -> list[str]:
    """Say of a new budget its name, its limit and why; its page says the rest."""
    kept = {name: changes[name] for name in ("name", "limit", "reason") if name in changes}
    return _told_columns({name: pair for name, pair in kept.items() if pair[1]}, names)


def _told_threshold(changes: Changes, names: Mapping[str, str]) -> list[str]:
    """Say what a threshold was and what it is."""
    before, after = (_threshold(changes, at) for at in (0, 1))
    return [f"{before} → {after}" if before and after else before or after]


def _threshold(changes: Changes, at: int) -> str:
    values = {name: pair[at] for name, pair in changes.items() if pair[at] is not None}
    shown = [
        str(_choice(Threshold, name, value) or value)
        for name in ("value", "unit", "basis", "hours", "quantile")
        if (value := values.get(name))
    ]
    return " ".join(shown)


def _told_request(changes: Changes, names: Mapping[str, str]) -> list[str]:
    """Say the reason of a request, or the note of a decision."""
    kept = {name: changes[name] for name in ("reason", "note") if name in changes}
    return _told_columns({name: pair for name, pair in kept.items() if pair[1]}, names)


def _difference(label: str, old: str, new: str) -> str:
    return f"{label}: {new}" if old == DASH else f"{label}: {old} → {new}"


def _label(column: str) -> str:
    if column in SILENT:
        return ""
    if column in WORDS:
        return capfirst(str(WORDS[column]))
    fields = {field.attname: field for field in Budget._meta.concrete_fields}
    return capfirst(str(fields[column].verbose_name)) if column in fields else column


def _reader(column: str, names: Mapping[str, str]) -> Callable[[str | None], str]:
    """Return how values of a column are told."""
    if column in PEOPLE:
        return lambda value: names.get(value or "", DASH)
    if column in INSTANTS:
        return lambda value: instant_text(datetime.fromisoformat(value)) if value else DASH
    return lambda value: _value(column, value)


def _value(column: str, value: str | None) -> str:
    if value is None:
        return DASH
    return str(_choice(Budget, column, value) or PLAIN.get(value, value))


def _choice(model: Any, column: str, value: str) -> Any:
    fields = {field.attname: field for field in model._meta.concrete_fields}
    return dict(fields[column].flatchoices).get(value) if column in fields else None


def _people(changes: Changes) -> list[str]:
    return [one for name in PEOPLE & changes.keys() for one in changes[name] if one]
