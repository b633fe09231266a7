"""Writes anomalies down: figures, reason, and whether people are told; alone writes these columns."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from attribution import money
from attribution.insights import evidence
from attribution.insights.models import LATE, Anomaly, Verdict
from attribution.insights.series import Grid, Series
from attribution.insights.spans import Span, is_settled

NEWS = timedelta(days=2)  # people are told of what ended since, not of history
FIGURES = ("starts_at", "ends_at", "expected", "actual", "impact", "buckets", "reason")


def series_of(row: Anomaly) -> Series:
    """Return whose spend a row is about."""
    return Series(row.cost_center_id, row.model, row.api_key_id)


@dataclass(frozen=True, slots=True)
class Alerts:
    """When anomalies are looked for, and from which impact people are told of one."""

    at: datetime
    least: Decimal


def keep(span: Span, each: Series, grid: Grid, alerts: Alerts) -> bool:
    """Bring a row up to date, or write a new one; say whether anything changed.

    A new row about hours that another evaluator has written meanwhile is left to that one.
    """
    row = span.row or Anomaly(
        cost_center_id=each.cost_center_id,
        model=each.model,
        api_key_id=each.api_key_id,
        granularity=grid.granularity,
        found_at=alerts.at,
    )
    before = _state(row)
    _fill(row, span)
    _alert(row, alerts)
    if _state(row) == before:
        return False
    if span.row is not None:
        row.save(update_fields=[*FIGURES, "status", "status_by", "note", "is_alerting"])
        return True
    return _insert(row)


def _insert(row: Anomaly) -> bool:
    row.api_key_name = evidence.key_name(row) if row.api_key_id else ""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if "anomaly_told_once" not in str(error):
            raise
        return False
    return True


def _fill(row: Anomaly, span: Span) -> None:
    has_moved = row.buckets != span.buckets
    if has_moved:
        row.buckets = span.buckets
        row.starts_at = datetime.fromisoformat(span.buckets[0]["from"])
        row.ends_at = datetime.fromisoformat(span.buckets[-1]["to"])
        row.actual, row.expected = _sum(span.buckets, "actual"), _sum(span.buckets, "expected")
        row.impact = row.actual - row.expected
    if has_moved or not row.reason.get("is_complete"):
        row.reason = evidence.reason(row)
    _judge(row, is_over=span.is_over)


def _judge(row: Anomaly, *, is_over: bool) -> None:
    """Take a row back that late data made usual, and open it again when later data did not."""
    if is_over:
        if row.status != Verdict.FALSE_POSITIVE:
            row.status, row.note = Verdict.FALSE_POSITIVE, LATE
        row.status_by = None
    elif row.status == Verdict.FALSE_POSITIVE and not is_settled(row):
        row.status, row.note = Verdict.NEW, ""


def _alert(row: Anomaly, alerts: Alerts) -> None:
    """Mark what people are told of; one event once, though days, hours and keys show it."""
    if row.is_alerting or row.status != Verdict.NEW or abs(row.impact) < alerts.least:
        return
    if row.ends_at < alerts.at - NEWS:
        return
    told = Anomaly.objects.filter(
        cost_center_id=row.cost_center_id, model=row.model, is_alerting=True,
        starts_at__lt=row.ends_at, ends_at__gt=row.starts_at,
    )  # fmt: skip
    row.is_alerting = not told.exists()


def _state(row: Anomaly) -> tuple[Any, ...]:
    return (row.buckets, row.reason, row.status, row.note, row.is_alerting)


def _sum(buckets: list[dict[str, Any]], name: str) -> Decimal:
    total = Decimal(0)
    for each in buckets:
        total = money.EXACT.add(total, Decimal(each[name]))
    return total
