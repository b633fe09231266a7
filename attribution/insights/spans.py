"""Judged buckets become spans: which belong to a row that exists, and which are news."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

from attribution import money
from attribution.insights import anomalies
from attribution.insights.anomalies import Judgement
from attribution.insights.models import Anomaly, Verdict
from attribution.insights.series import Bucket

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Finding:
    """A bucket, what it cost, what it should have cost, and to which side it is unusual, if any."""

    bucket: Bucket
    actual: Decimal
    judgement: Judgement | None
    side: int
    references: tuple[tuple[Bucket, Decimal], ...] = ()

    def told(self) -> dict[str, Any]:
        """Return the bucket as a row keeps it."""
        judged = self.judgement
        return {
            "from": self.bucket.starts_at.isoformat(),
            "to": self.bucket.ends_at.isoformat(),
            "actual": money.text(self.actual),
            "expected": money.text(judged.expected if judged else self.actual),
            "limit": money.text(judged.limit if judged else ZERO),
            "like": [
                [like.starts_at.isoformat(), like.ends_at.isoformat(), money.text(weight)]
                for like, weight in self.references
            ],
        }


@dataclass(frozen=True, slots=True)
class Span:
    """What a row is to say now: its buckets; without a row, a new one; `is_over`: nothing unusual."""

    row: Anomaly | None
    buckets: list[dict[str, Any]]
    is_over: bool = False


def spans(findings: Sequence[Finding], rows: Sequence[Anomaly]) -> list[Span]:
    """Return what the rows of a series are to say after its last buckets were judged, new ones last.

    A row that people called expected or a false alarm keeps its days: what follows is a new row. Any
    other takes the unusual neighbours of its days, and gives up those that late data made usual.
    """
    settled = [row for row in rows if is_settled(row)]
    open_rows = sorted((row for row in rows if not is_settled(row)), key=lambda r: r.starts_at)
    kept = [Span(row, _within(row, findings)) for row in settled]
    owned = list(_owned(findings, settled, open_rows))
    owners = {span.row.pk for span in owned if span.row is not None}
    over = [_without(row, findings) for row in open_rows if row.pk not in owners]
    return sorted([*kept, *over, *owned], key=lambda span: span.row is None)


def is_settled(row: Anomaly) -> bool:
    """Say whether a person has decided that a row is nothing unusual."""
    return row.status in {Verdict.EXPECTED, Verdict.FALSE_POSITIVE} and row.status_by_id is not None


def _owned(
    findings: Sequence[Finding], settled: list[Anomaly], open_rows: list[Anomaly]
) -> Iterator[Span]:
    """Share every stretch of unusual buckets out to the rows that know of it."""
    sides = [0 if _holder(one, settled) else one.side for one in findings]
    used: set[UUID] = set()
    for first, end, side in anomalies.runs(sides):
        stretch = findings[first:end]
        free = [row for row in open_rows if row.pk not in used and _joins(row, stretch, findings)]
        owners = _owners(stretch, free, side)
        for row, part in groupby(zip(owners, stretch, strict=True), key=lambda pair: pair[0]):
            if row is not None:
                used.add(row.pk)
            told = [one.told() for _row, one in part]
            yield Span(row, [*_before(row, findings), *told])


def _owners(stretch: Sequence[Finding], rows: Sequence[Anomaly], side: int) -> list[Anomaly | None]:
    """Return for each bucket the row that holds it, or the one that the stretch goes on from."""
    found = [_holder(one, rows) for one in stretch]
    starts_at = stretch[0].bucket.starts_at
    ahead = next((r for r in rows if r.ends_at == starts_at and r.impact * side > 0), None)
    current = ahead or next((row for row in found if row is not None), None)
    owners = []
    for row in found:
        current = row or current
        owners.append(current)
    return owners


def _joins(row: Anomaly, stretch: Sequence[Finding], findings: Sequence[Finding]) -> bool:
    """Say whether a row's days from before all that was judged lead up to the stretch, if it has any."""
    return not _before(row, findings) or stretch[0].bucket == findings[0].bucket


def _holder(one: Finding, rows: Sequence[Anomaly]) -> Anomaly | None:
    at = one.bucket.starts_at
    return next((row for row in rows if row.starts_at <= at < row.ends_at), None)


def _within(row: Anomaly, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    told = [one.told() for one in findings if _holder(one, [row]) is not None]
    return [*_before(row, findings), *told]


def _without(row: Anomaly, findings: Sequence[Finding]) -> Span:
    """Return what is left of a row of which nothing that was judged is unusual any more."""
    before = _before(row, findings)
    return Span(row, before) if before else Span(row, _within(row, findings), is_over=True)


def _before(row: Anomaly | None, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the buckets of a row that lie before everything that was judged."""
    first = findings[0].bucket.starts_at
    buckets = row.buckets if row is not None else []
    return [each for each in buckets if datetime.fromisoformat(each["from"]) < first]
