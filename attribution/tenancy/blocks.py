"""The kill switch: alone may throw it over a key, a cost center or the organization, and lift it.

Each change takes the policy fence: no call that is stopped is admitted once it is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy import access, policy, roles
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.models import Block, BlockedKind


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be blocked, and its name, by which it is told of."""

    kind: BlockedKind
    id: UUID
    name: str


def standing() -> QuerySet[Block]:
    """Return what is blocked now, the newest first."""
    rows = Block.objects.filter(lifted_at=None).select_related("blocked_by")
    return rows.order_by("-blocked_at", "id")


def over(target: Target) -> Block | None:
    """Return the block that stands over one target."""
    return standing().filter(kind=target.kind, target_id=target.id).first()


def shown(request: OrganizationRequest) -> Sequence[Block]:
    """Return the blocks that this person is told of on every page: of keys, finance alone."""
    rows = standing()
    if access.role_of(request) in roles.CONTROL and not access.is_narrowed(request):
        return list(rows)
    centers = access.cost_centers(request).values("pk")
    mine = Q(kind=BlockedKind.COST_CENTER, target_id__in=centers)
    return list(rows.filter(Q(kind=BlockedKind.ORGANIZATION) | mine))


def impose(target: Target, *, reason: str, is_cut: bool, by: Actor, at: datetime) -> Block:
    """Refuse every new call of a target from the commit on; `is_cut` ends those under way too.

    A target that is blocked already stays so; the calls under way may then still be cut.
    """
    policy.changed(required())
    block = over(target)
    if block is not None:
        return cut(block, by=by) if is_cut else block
    person = by.id if by.kind == "user" else None
    block = Block.objects.create(
        kind=target.kind,
        target_id=target.id,
        target_name=target.name,
        reason=reason,
        is_cut=is_cut,
        blocked_by_id=person,
        blocked_at=at,
    )
    trail.append(f"{target.kind}.blocked", by=by, on=block, after=trail.snapshot(block))
    return block


def cut(block: Block, *, by: Actor) -> Block:
    """End the calls under way that a standing block let finish; what they used is settled."""
    if block.is_cut:
        return block
    before = trail.snapshot(block)
    policy.changed(required())
    block.is_cut = True
    block.save(update_fields=["is_cut"])
    after = trail.snapshot(block)
    trail.append(f"{block.kind}.cut", by=by, on=block, before=before, after=after)
    return block


def lift(block: Block, *, by: Actor, at: datetime) -> None:
    """Admit calls again; lifting twice changes nothing."""
    policy.changed(required())
    block.refresh_from_db()
    if block.lifted_at is not None:
        return
    before = trail.snapshot(block)
    block.lifted_at = at
    block.lifted_by_id = by.id if by.kind == "user" else None
    block.save(update_fields=["lifted_at", "lifted_by"])
    after = trail.snapshot(block)
    trail.append(f"{block.kind}.unblocked", by=by, on=block, before=before, after=after)
