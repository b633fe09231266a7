"""Calls without a cost, by provider, model and upstream, and what would give them one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, Case, Count, Max, Min, Q, Sum, Value, When

from attribution import calendar
from attribution.prices.book import PriceBook
from attribution.prices.tokens import INPUT_SIDE, OUTPUT_SIDE
from attribution.usage.models import CallState, UsageRecord, floor_id
from budgets.reservations.repricing import shut_months

MONTHS = 13  # how far back the list looks
MOST = 200  # groups of one page, those with the most calls


class Remedy(StrEnum):
    """What gives such calls a cost."""

    PRICE = "price"  # nobody knows a price: set one
    RERATE = "rerate"  # a price is known now
    NONE = "none"  # holds what no price per token covers
    SHUT = "shut"  # its months are reconciled or closed


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Calls of one model at one upstream that have no cost."""

    provider: str
    model: str
    upstream_id: UUID | None
    calls: int
    shut_calls: int  # of them in months in which nothing is re-rated
    input_tokens: int
    output_tokens: int
    first_at: datetime
    last_at: datetime
    remedy: Remedy


def found(*, at: datetime) -> list[Unpriced]:
    """Return what has no cost in the last months until `at`, the most calls first."""
    rows = list(_groups(_earliest(at))[:MOST])
    if not rows:
        return []
    book = PriceBook.between(min(r["first_at"] for r in rows), max(r["last_at"] for r in rows))
    return [_unpriced(row, book) for row in rows]


def _earliest(at: datetime) -> date:
    return calendar.add_months(at.astimezone(UTC).date().replace(day=1), 1 - MONTHS)


def _groups(earliest: date) -> Any:
    start = datetime.combine(earliest, datetime.min.time(), UTC)
    calls = UsageRecord.objects.filter(
        id__gte=floor_id(start), state=CallState.SETTLED, cost__isnull=True
    )
    named = calls.order_by().annotate(
        name=Case(When(model_billed="", then="model_requested"), default="model_billed"),
        is_lost=Case(
            When(usage__has_key="unpriceable", then=True),
            default=False,
            output_field=BooleanField(),
        ),
    )
    shut = _within(month for month in shut_months() if month >= earliest)
    return (
        named.values("provider", "name", "upstream_id", "is_lost")
        .annotate(
            calls=Count("pk"),
            shut_calls=Count("pk", filter=shut),
            input_tokens=sum((Sum(f"{n}_tokens") for n in INPUT_SIDE), start=Value(0)),
            output_tokens=sum((Sum(f"{n}_tokens") for n in OUTPUT_SIDE), start=Value(0)),
            first_at=Min("occurred_at"),
            last_at=Max("occurred_at"),
        )
        .order_by("-calls", "provider", "name")
    )


def _within(months: Iterable[date]) -> Q:
    """Return what finds the calls of some months."""
    chosen = Q(pk__in=[])
    for month in months:
        start, end = calendar.month_bounds(month, ZoneInfo("UTC"))
        chosen |= Q(id__gte=floor_id(start), id__lt=floor_id(end))
    return chosen


def _unpriced(row: dict[str, Any], book: PriceBook) -> Unpriced:
    return Unpriced(
        provider=row["provider"],
        model=row["name"],
        remedy=_remedy(row, book),
        **{name: row[name] for name in ("upstream_id", "calls", "shut_calls")},
        **{name: row[name] for name in ("input_tokens", "output_tokens", "first_at", "last_at")},
    )


def _remedy(row: dict[str, Any], book: PriceBook) -> Remedy:
    if row["is_lost"]:
        return Remedy.NONE
    if row["shut_calls"] == row["calls"]:
        return Remedy.SHUT
    ends = (row["first_at"], row["last_at"])
    is_known = any(book.find(row["name"], row["provider"], at) for at in ends)
    return Remedy.RERATE if is_known else Remedy.PRICE
