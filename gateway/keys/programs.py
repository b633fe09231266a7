"""The keys a person may look at, as lower packages need them: programs, under ids that outlive rotation."""

from collections.abc import Collection, Iterable

from django.db.models import Q
from django.utils import timezone

from attribution.isolation.transaction import required
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.program import Program
from budgets.control.structure import Held
from gateway.keys import shelf
from gateway.keys.models import ApiKey


def held(request: OrganizationRequest) -> Iterable[Held]:
    """Return every key once, by its newest secret; it is alive while any secret works."""
    rows = shelf.visible(request).order_by("created_at", "pk")
    works = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    alive = {key.lineage for key in rows.filter(works, revoked_at=None)}
    return [_held(key, is_alive=lineage in alive) for lineage, key in _newest(rows).items()]


def names(lineages: Collection[str]) -> dict[str, str]:
    """Return what keys are called, by the ids that calls know them by."""
    rows = ApiKey.objects.order_by("created_at", "pk")
    return {str(key.lineage): key.name for key in rows if str(key.lineage) in lineages}


def _newest(rows: Iterable[ApiKey]) -> dict[object, ApiKey]:
    return {key.lineage: key for key in rows}


def _held(key: ApiKey, *, is_alive: bool) -> Held:
    program = Program(
        key_id=key.lineage,
        organization_id=required(),
        name=key.name,
        scopes=tuple(key.scopes),
        cost_center_id=key.cost_center_id,
        is_cost_center_pinned=key.is_cost_center_pinned,
        allowed_cost_centers=tuple(key.allowed_cost_centers),
        user_name=key.user_name,
        is_user_pinned=key.is_user_pinned,
    )
    return Held(program, is_alive, key.is_amount_hidden)
