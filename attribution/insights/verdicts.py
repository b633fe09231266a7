"""What people make of an anomaly: alone changes its status for a person, with who, when and why."""

from datetime import datetime
from uuid import UUID

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.insights import visibility
from attribution.insights.models import Anomaly, Verdict
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest


class VerdictError(ValueError):
    """A status that an anomaly cannot have."""

    code = "invalid_status"


def give(row: Anomaly, status: str, *, note: str, by: Actor, at: datetime) -> Anomaly:
    """Give an anomaly another status; locks its row against the evaluator."""
    if status not in Verdict.values:
        raise VerdictError(status)
    kept = Anomaly.objects.select_for_update().get(pk=row.pk)
    before = _snapshot(kept)
    kept.status, kept.note = Verdict(status), note
    kept.status_by_id, kept.status_at = _person(by), at
    kept.save(update_fields=["status", "note", "status_by", "status_at"])
    trail.append("anomaly.changed", by=by, on=kept, before=before, after=_snapshot(kept))
    return kept


def acknowledge(request: OrganizationRequest, anomaly_id: str, *, at: datetime) -> None:
    """Acknowledge a new anomaly of which a message told this person, if they may; no other."""
    if not access.may(request, "POST", "attribution:anomaly-judge"):
        return
    row = visibility.visible(request).filter(pk=anomaly_id, status=Verdict.NEW).first()
    if row is not None:
        by = access.actor(request)
        give(row, Verdict.ACKNOWLEDGED, note=row.note, by=by, at=at)


def _person(by: Actor) -> UUID | None:
    return by.id if by.kind == "user" else None


def _snapshot(row: Anomaly) -> dict[str, str | None]:
    """Return what a person decides; the figures are the evaluator's."""
    kept = ("status", "note", "status_by_id", "status_at")
    return {name: value for name, value in trail.snapshot(row).items() if name in kept}
