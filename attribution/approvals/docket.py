"""Requests as people meet them: which ones somebody may see, and what each says in words."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from attribution.approvals import decisions
from attribution.approvals.decisions import KINDS
from attribution.approvals.models import ApprovalRequest, Decision
from attribution.isolation import transaction
from attribution.tenancy import access, roles
from attribution.tenancy.access import OrganizationRequest

MANY = 50
LEVELS = {"": "warn", Decision.APPROVED: "good", Decision.REJECTED: "bad"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A request with what it asks for in words, and what this person may do about it."""

    row: ApprovalRequest
    label: Any
    lines: list[tuple[str, str]]
    may_decide: bool
    is_own: bool

    @property
    def level(self) -> str:
        """Return the level of its state, for its mark."""
        return LEVELS.get(self.row.decision, "none")


def entry(request: OrganizationRequest, row: ApprovalRequest) -> Entry:
    """Return what somebody sees of a request; a kind that nobody knows any more says nothing."""
    kind = KINDS.get(row.kind)
    is_own = row.requested_by_id == request.user.pk
    may = decisions.may_decide(row, person_id=request.user.pk, role=_role(request))
    label, lines = (kind.label, kind.tell(row)) if kind else (row.kind, [])
    return Entry(row, label, lines, may_decide=may and not row.decision, is_own=is_own)


def visible(request: OrganizationRequest) -> QuerySet[ApprovalRequest]:
    """Return the requests somebody may see: all in the office, else one's own and those one decides."""
    rows = ApprovalRequest.objects.select_related("requested_by", "decided_by", "approver")
    if _role(request) in roles.CONTROL:
        return rows
    return rows.filter(Q(requested_by=request.user.pk) | Q(approver=request.user.pk))


def waiting(request: OrganizationRequest) -> int:
    """Return how many requests wait for this person; 0 outside of an organization's page."""
    is_served = hasattr(request, "membership") and transaction.current() is not None
    if not is_served or access.role_of(request) not in roles.READERS:
        return 0
    others = ApprovalRequest.objects.filter(decision="").exclude(requested_by=request.user.pk)
    if _role(request) not in roles.OFFICE:
        others = others.filter(approver=request.user.pk)
    return others.count()


def _role(request: OrganizationRequest) -> str:
    """Return the role that decides; who is narrowed to a department is none of the office here."""
    role = access.role_of(request)
    return roles.MANAGER if access.is_narrowed(request) else role
