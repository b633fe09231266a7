"""What the kill switch would stop, and the blocks that a person may look at and lift."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import ngettext

from attribution.tenancy import access, blocks
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.blocks import Target
from attribution.tenancy.models import Block, BlockedKind, CostCenter
from gateway.keys import shelf
from gateway.keys.models import ApiKey

PAST = 50  # blocks that are over, on the page


@dataclass(frozen=True, slots=True)
class Reach:
    """A target and how many keys stop with it."""

    target: Target
    keys: int

    @property
    def finding(self) -> str:
        """Say what happens at once."""
        number = {"number": self.keys}
        if self.target.kind == BlockedKind.COST_CENTER:
            text = ngettext(
                "%(number)d key books here unless a call says otherwise: what it books here stops at once.",
                "%(number)d keys book here unless a call says otherwise: what they book here stops at once.",
                self.keys,
            )
            return text % number
        text = ngettext(
            "%(number)d key stops working at once.",
            "%(number)d keys stop working at once.",
            self.keys,
        )
        return text % number


def of_organization(request: OrganizationRequest, at: datetime) -> Reach:
    """Say what stops with the whole organization."""
    organization = request.organization
    target = Target(BlockedKind.ORGANIZATION, organization.pk, organization.name)
    return Reach(target, _count(_alive(at)))


def of_cost_center(request: OrganizationRequest, center: CostCenter, at: datetime) -> Reach:
    """Say what stops with a cost center: the keys whose calls go there by themselves."""
    goes = Q(cost_center=center)
    if request.organization.default_cost_center_id == center.pk:
        goes |= Q(cost_center=None)
    target = Target(BlockedKind.COST_CENTER, center.pk, str(center))
    return Reach(target, _count(_alive(at).filter(goes)))


def of_key(key: ApiKey) -> Reach:
    """Say what stops with a key: it, with every secret of it."""
    return Reach(Target(BlockedKind.API_KEY, key.lineage, key.name), 1)


def standing(request: OrganizationRequest) -> QuerySet[Block]:
    """Return what is blocked of what this person may look at."""
    return _seen(request, blocks.standing())


def past(request: OrganizationRequest) -> QuerySet[Block]:
    """Return what was blocked, the latest first."""
    rows = Block.objects.exclude(lifted_at=None).select_related("blocked_by", "lifted_by")
    return _seen(request, rows).order_by("-lifted_at", "id")[:PAST]


def block(request: OrganizationRequest, public_id: str) -> Block:
    """Return a block this person may lift; 404 for any other id."""
    rows = _seen(request, Block.objects.select_related("blocked_by", "lifted_by"))
    if access.is_narrowed(request):
        rows = rows.exclude(kind=BlockedKind.ORGANIZATION)
    return access.loaded(rows, public_id)


def _seen(request: OrganizationRequest, rows: QuerySet[Block]) -> QuerySet[Block]:
    if not access.is_narrowed(request):
        return rows
    centers = Q(
        kind=BlockedKind.COST_CENTER, target_id__in=access.cost_centers(request).values("pk")
    )
    keys = Q(kind=BlockedKind.API_KEY, target_id__in=_lineages(shelf.visible(request)))
    return rows.filter(Q(kind=BlockedKind.ORGANIZATION) | centers | keys)


def _alive(at: datetime) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None)


def _lineages(keys: QuerySet[ApiKey]) -> Any:
    return keys.order_by().values_list(Coalesce(F("lineage_id"), F("id")), flat=True).distinct()


def _count(keys: QuerySet[ApiKey]) -> int:
    return len(_lineages(keys))
