"""The second person: alone may open, approve, reject and withdraw requests for approval."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from attribution.approvals.models import ApprovalRequest, Decision
from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy import policy, roles


class DecisionError(ValueError):
    """A request that cannot be opened or decided like this."""

    code = "decision_refused"


class AlreadyWaitingError(DecisionError):
    """The same is asked for about the same thing already."""

    code = "request_waiting"


class AlreadyDecidedError(DecisionError):
    """Somebody has decided meanwhile; nothing is applied twice."""

    code = "request_decided"


class OwnRequestError(DecisionError):
    """Nobody decides about what they asked for, and only a person asks or withdraws."""

    code = "own_request"


class AlteredRequestError(DecisionError):
    """The row no longer says what was asked for."""

    code = "request_altered"


class OutdatedRequestError(DecisionError):
    """What was asked for can no longer be done, for example because a budget has ended."""

    code = "request_outdated"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, by value: the room that owns it lies above."""

    id: str
    name: str
    approver_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """What may be asked for: its name, how it is told in words, how it is done.

    `apply` raises OutdatedRequestError when it cannot be done any more. `drop` forgets what waited
    for a request that was rejected or withdrawn.
    """

    label: Any
    tell: Callable[[ApprovalRequest], list[tuple[str, str]]]
    apply: Callable[[ApprovalRequest, Actor, datetime], object]
    drop: Callable[[ApprovalRequest, Actor, datetime], object] | None = None


# Packages above add theirs.
KINDS: dict[str, Kind] = {}


def ask(
    kind: str, subject: Subject, *, payload: Mapping[str, Any], reason: str, by: Actor, at: datetime
) -> ApprovalRequest:
    """Open a request in the caller's transaction; the person who asks cannot decide about it."""
    waiting = ApprovalRequest.objects.filter(kind=kind, subject_id=subject.id, decision="")
    if waiting.exists():
        raise AlreadyWaitingError(subject.name)
    if by.id is None:
        raise OwnRequestError(subject.name)  # a command is nobody who could be told apart
    asked = ApprovalRequest.objects.create(
        kind=kind,
        subject_id=subject.id,
        subject_name=subject.name,
        payload=dict(payload),
        payload_digest=trail.digest(payload),
        reason=reason,
        requested_by_id=by.id,
        requested_at=at,
        approver_id=subject.approver_id if subject.approver_id != by.id else None,
    )
    trail.append("approval.requested", by=by, on=asked, after=trail.snapshot(asked))
    return asked


def approve(asked: ApprovalRequest, *, by: Actor, at: datetime, note: str = "") -> ApprovalRequest:
    """Do what was asked for, exactly and once, and say who agreed.

    Locks: the policy fence, as every change of a limit, then the request.
    """
    policy.changed(required())
    row = _waiting(asked)
    if row.requested_by_id == by.id:
        raise OwnRequestError(str(row))
    if trail.digest(row.payload) != row.payload_digest:
        raise AlteredRequestError(str(row))
    with transaction.atomic():  # what cannot be done is not approved
        decided = _decide(row, Decision.APPROVED, by=by, at=at, note=note)
        KINDS[row.kind].apply(decided, by, at)
    return decided


def reject(asked: ApprovalRequest, *, by: Actor, at: datetime, note: str = "") -> ApprovalRequest:
    """End a request without doing what was asked for."""
    policy.changed(required())
    row = _waiting(asked)
    if row.requested_by_id == by.id:
        raise OwnRequestError(str(row))
    return _drop(_decide(row, Decision.REJECTED, by=by, at=at, note=note), by, at)


def withdraw(asked: ApprovalRequest, *, by: Actor, at: datetime, note: str = "") -> ApprovalRequest:
    """Take one's own request back."""
    policy.changed(required())
    row = _waiting(asked)
    if row.requested_by_id != by.id:
        raise OwnRequestError(str(row))
    return _drop(_decide(row, Decision.WITHDRAWN, by=by, at=at, note=note), by, at)


def may_decide(asked: ApprovalRequest, *, person_id: UUID, role: str) -> bool:
    """Say whether somebody is the second person: another one, of the office or named as approver."""
    is_entitled = role in roles.OFFICE or asked.approver_id == person_id
    return is_entitled and asked.requested_by_id != person_id


def waiting_for(subject_id: object) -> list[ApprovalRequest]:
    """Return what waits about one thing."""
    return list(ApprovalRequest.objects.filter(subject_id=str(subject_id), decision=""))


def _waiting(asked: ApprovalRequest) -> ApprovalRequest:
    """Lock the request; of two people who decide at once the second one meets the decision."""
    row = ApprovalRequest.objects.select_for_update().get(pk=asked.pk)
    if row.decision:
        raise AlreadyDecidedError(str(row))
    return row


def _drop(row: ApprovalRequest, by: Actor, at: datetime) -> ApprovalRequest:
    if drop := KINDS[row.kind].drop:
        drop(row, by, at)
    return row


def _decide(
    row: ApprovalRequest, decision: Decision, *, by: Actor, at: datetime, note: str
) -> ApprovalRequest:
    before = trail.snapshot(row)
    row.decision, row.decided_by_id, row.decided_at, row.note = decision, by.id, at, note
    row.save(update_fields=["decision", "decided_by", "decided_at", "note"])
    action = f"approval.{decision.value}"
    trail.append(action, by=by, on=row, before=before, after=trail.snapshot(row))
    return row
