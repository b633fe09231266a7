"""Sums derived from the ledger: advance them by watermark, or rebuild them; both give the same."""

from datetime import datetime

from django.db import connection

from attribution.ledger.models import RollupWatermark


def advance() -> int:
    """Fold the entries of all finished transactions into the rollups; return how many.

    All organizations at once, idempotent; returns 0 at once while another fold is running.
    """
    return _ask("SELECT attribution_rollups_advance('{}'::jsonb)")


def rebuild() -> int:
    """Delete and recompute all rollups from the ledger; return how many entries were folded."""
    return _ask("SELECT attribution_rollups_rebuild('{}'::jsonb)")


def advanced_at() -> datetime | None:
    """Return when the rollups were last brought up to date: the time of the data on every page."""
    mark = RollupWatermark.objects.first()
    return mark.advanced_at if mark else None


def _ask(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        (folded,) = cursor.fetchone()
    return int(folded)
