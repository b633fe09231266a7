"""Sums derived from the ledger: advance them by watermark, or rebuild them; both give the same."""

import json
from datetime import datetime
from uuid import UUID

from django.db import connection

from attribution.isolation.transaction import tenant
from attribution.ledger.models import RollupWatermark, RollupZone
from attribution.tenancy.models import Organization


def advance() -> int:
    """Fold the entries of all finished transactions into the rollups; return how many.

    All organizations at once, idempotent; returns 0 at once while another fold is running.
    """
    return _ask("SELECT attribution_rollups_advance('{}'::jsonb)")


def rebuild() -> int:
    """Delete and recompute all rollups from the ledger; return how many entries were folded."""
    return _ask("SELECT attribution_rollups_rebuild('{}'::jsonb)")


def recut(organization_id: UUID) -> int:
    """Cut days and months anew if the organization's time zone has changed; return the entries folded.

    Its own transaction. Idempotent: rollups that are cut by today's zone are left alone.
    """
    with tenant(organization_id):
        cut = RollupZone.objects.values_list("time_zone", flat=True).first()
        if cut in {None, Organization.objects.get(pk=organization_id).time_zone}:
            return 0
    question = json.dumps({"organization_id": str(organization_id)})
    return _ask("SELECT attribution_rollups_rebuild(%s::jsonb)", question)


def advanced_at() -> datetime | None:
    """Return when the rollups were last brought up to date: the time of the data on every page."""
    mark = RollupWatermark.objects.first()
    return mark.advanced_at if mark else None


def _ask(sql: str, *arguments: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        (folded,) = cursor.fetchone()
    return int(folded)
