"""Single calls, the newest first: where every figure's drill-down ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from attribution import calendar
from attribution.ledger.models import Facet, Grain
from attribution.reports import spend
from attribution.reports.breakdown import Question
from attribution.reports.filters import FilterError, Filters
from attribution.usage.models import UsageRecord, floor_id

SCANNED = 200_000  # calls of one page: rare values lie far apart, and a page must not take long
COLUMNS = {
    "department": "department_id",
    "provider": "provider",
    "user": "user_id",
    "feature": "feature",
    "path": "path",
    "environment": "environment",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Calls, the newest first, and the id that the next page lies before; None at the end."""

    calls: tuple[UsageRecord, ...]
    before: UUID | None


def read(
    filters: Filters, question: Question, *, at: datetime, before: UUID | None, limit: int
) -> Page:
    """Return calls of the range that the question's values select.

    Looks only at days that the rollups know to have such calls, and at today. A page of rare calls
    may hold fewer than `limit` and still be followed by others.
    """
    wanted = _wanted(filters, question.values)
    found: list[UsageRecord] = []
    days = [day for day in _days(filters, question, at=at) if _reaches(filters, day, before)]
    scanned, sizes = 0, _sizes(filters)
    for day in days:
        if scanned > SCANNED:
            return Page(tuple(found), _first_after(day, filters.range.zone))
        found += _of_day(wanted, filters, day, before)[: limit - len(found)]
        scanned += sizes.get(day, 0)
        if len(found) == limit:
            return Page(tuple(found), found[-1].pk)
    return Page(tuple(found), None)


def _days(filters: Filters, question: Question, *, at: datetime) -> list[date]:
    """Return the days of the range that have such calls, the newest first; today is always one."""
    chosen = filters.range
    rows = spend.rows(filters, question.facet, finest=Grain.DAY).filter(
        **question.conditions, grain=Grain.DAY
    )
    names = {bucket.date() for bucket in rows.values_list("bucket", flat=True).distinct()}
    today = calendar.local_day(at, chosen.zone)
    return sorted(names | ({today} if chosen.first <= today < chosen.end else set()), reverse=True)


def _sizes(filters: Filters) -> dict[date, int]:
    """Return how many calls each day of the range has, whoever made them: those are looked through."""
    everyone = replace(filters, cost_centers=None, within=None)
    rows = spend.rows(everyone, Facet.MODEL, finest=Grain.DAY).filter(grain=Grain.DAY)
    counted = rows.values("bucket").annotate(counted=Sum("calls"))
    return {row["bucket"].date(): row["counted"] for row in counted}


def _of_day(
    wanted: QuerySet[UsageRecord], filters: Filters, day: date, before: UUID | None
) -> QuerySet[UsageRecord]:
    starts, ends = calendar.bounds(day, day + timedelta(days=1), filters.range.zone)
    first, last = max(starts, filters.range.starts_at), min(ends, filters.range.ends_at)
    calls = wanted.filter(id__gte=floor_id(first), id__lt=floor_id(last))
    return calls.filter(id__lt=before) if before else calls


def _reaches(filters: Filters, day: date, before: UUID | None) -> bool:
    return before is None or floor_id(calendar.day_start(day, filters.range.zone)) < before


def _first_after(day: date, zone: Any) -> UUID:
    """Return the id that every call up to the end of a day lies before."""
    return floor_id(calendar.day_start(day + timedelta(days=1), zone))


def _wanted(filters: Filters, values: Mapping[str, Sequence[Any]]) -> QuerySet[UsageRecord]:
    calls = UsageRecord.objects.order_by("-id")
    if filters.cost_center_ids is not None:
        calls = calls.filter(cost_center_id__in=filters.cost_center_ids)
    for name, kept in values.items():
        calls = calls.filter(_condition(name, kept))
    return calls


def _condition(name: str, kept: Sequence[Any]) -> Q:
    """Return the condition on calls that a rollup's value stands for."""
    if name == "model":
        return Q(model_billed__in=kept) | Q(model_billed="", model_requested__in=kept)
    if name == "api_key":
        return Q(api_key_id__in=[_key(text) for text in kept if text])
    if name == "prompt":
        named = Q(prompt_name__in=[text for text in kept if text])
        named |= Q(prompt_name="", prompt_fp__in=[_bytes(text) for text in kept if text])
        return named | Q(prompt_name="", prompt_fp=None) if "" in kept else named
    return Q(**{f"{COLUMNS[name]}__in": kept})


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise FilterError(f"api_key: {text[:40]}") from error


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:  # the name of a prompt, no fingerprint: no call has it as one
        return b""
