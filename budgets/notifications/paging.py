"""Pages of messages, the newest first; many are of the same instant, so the id is part of the place."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from budgets.notifications.models import Notification

PAGE = 50


def page(rows: QuerySet[Notification], before: str) -> tuple[list[Notification], str]:
    """Return the messages that follow a place, and the place of the last one if more follow."""
    place = _place(before)
    if place is not None:
        at, row_id = place
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=row_id))
    found = list(rows.order_by("-created_at", "-id")[: PAGE + 1])
    last = found[PAGE - 1] if len(found) > PAGE else None
    return found[:PAGE], f"{last.created_at.isoformat()}_{last.pk}" if last else ""


def _place(text: str) -> tuple[datetime, UUID] | None:
    """Read a place from the URL; what is none begins at the newest."""
    at, _, row_id = text.partition("_")
    try:
        found = datetime.fromisoformat(at), UUID(row_id)
    except ValueError:
        return None
    return found if found[0].tzinfo else None
