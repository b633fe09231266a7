"""Costs by any of the dimensions that rollups tell apart, per group and interval: what the JSON API shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, cast

from django.db.models import Model, QuerySet, Sum

from attribution import money
from attribution.ledger.models import Facet, Grain
from attribution.reports import latency, spend
from attribution.reports.filters import FilterError, Filters
from attribution.usage.models import TOKEN_CLASSES

M = TypeVar("M", bound=Model)
COLUMNS = {  # dimensions of few values, which stand in every facet
    "cost_center": "cost_center_id",
    "department": "department_id",
    "model": "model",
    "provider": "provider",
}
FACETS = {  # dimensions of many values: one at a time
    "user": Facet.USER,
    "api_key": Facet.KEY,
    "feature": Facet.FEATURE,
    "path": Facet.PATH,
    "prompt": Facet.PROMPT,
    "environment": Facet.ENVIRONMENT,
}
DIMENSIONS = (*COLUMNS, *FACETS)
INTERVALS = ("hour", "day", "month")
MOST = 50_000  # rows of an answer
MILLION = Decimal(1_000_000)


class TooManyRowsError(ValueError):
    """A question whose answer nobody could read."""

    code = "too_many_rows"


@dataclass(frozen=True, slots=True)
class Question:
    """By which dimensions and intervals to tell costs apart, and which values count."""

    group_by: tuple[str, ...] = ()
    interval: str = ""
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.group_by if name not in DIMENSIONS]
        if unknown or len(set(self.group_by)) < len(self.group_by):
            raise FilterError(f"group_by: {','.join(self.group_by)[:80]}")
        if self.interval and self.interval not in INTERVALS:
            raise FilterError(f"interval: {self.interval[:40]}")
        names = sorted({*self.group_by, *self.values} & FACETS.keys())
        if len(names) > 1:  # rollups are facets, never a cube
            raise FilterError(f"group_by: {', '.join(names)} cannot be told apart together")

    @property
    def facet(self) -> Facet:
        """Return the facet that tells all of it."""
        names = [name for name in (*self.group_by, *self.values) if name in FACETS]
        return FACETS[names[0]] if names else Facet.MODEL

    @property
    def finest(self) -> Grain:
        """Return the coarsest rollup rows that tell the intervals apart."""
        return Grain(self.interval) if self.interval else Grain.MONTH

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the groups, in order."""
        return tuple(COLUMNS.get(name, "value") for name in self.group_by)

    @property
    def conditions(self) -> dict[str, tuple[Any, ...]]:
        """Return the values that count, by column."""
        return {f"{COLUMNS.get(name, 'value')}__in": kept for name, kept in self.values.items()}


@dataclass(frozen=True, slots=True)
class Sums:
    """What the calls of a group used, cost and took."""

    calls: int
    unpriced_calls: int
    estimated_calls: int
    tokens: Mapping[str, int]
    cost: Decimal
    uncertain: Decimal
    average_ms: Decimal | None
    p50_ms: Decimal | None = None
    p95_ms: Decimal | None = None

    @property
    def total_tokens(self) -> int:
        """Return the tokens of all classes; they are disjoint."""
        return sum(self.tokens.values())

    @property
    def cost_per_million(self) -> Decimal | None:
        """Return the cost of a million tokens; None without tokens."""
        if not self.total_tokens:
            return None
        per_token = money.EXACT.divide(self.cost, Decimal(self.total_tokens))
        return money.half_even(money.EXACT.multiply(per_token, MILLION))


@dataclass(frozen=True, slots=True)
class Row:
    """One group, in one interval if intervals were asked for."""

    group: tuple[Any, ...]
    starts_at: datetime | None
    sums: Sums


def read(
    filters: Filters,
    question: Question,
    *,
    only: Mapping[str, Any] | None = None,
    page: tuple[int, int] | None = None,
) -> list[Row]:
    """Return every group that has calls, the dearest first; intervals in order of time.

    `only` are further conditions on columns of rollups; `page` skips and takes groups, of a question
    without interval. Raises TooManyRowsError rather than leave something out.
    """
    names = [*question.columns, *(["interval"] if question.interval else [])]
    rows = spend.rows(filters, question.facet, finest=question.finest)
    rows = rows.filter(**question.conditions, **(only or {}))
    found = _found(_cut(rows, filters, question), names, page)
    shares = _percentiles(filters, question, names)
    told = [_row(row, question, shares, tuple(row[name] for name in names)) for row in found]
    told = [
        replace(row, starts_at=latency.instant(row.starts_at, filters.range))
        if row.starts_at is not None
        else row
        for row in told
    ]
    return sorted(told, key=_rank)


def total(filters: Filters, question: Question) -> Sums:
    """Return the sums over all groups and intervals of a question."""
    whole = Question(values=question.values) if question.values else Question()
    sums = spend.rows(filters, whole.facet).filter(**whole.conditions).aggregate(**_sums())
    return _row(sums, whole, _percentiles(filters, whole, []), ()).sums


def _found(
    rows: "QuerySet[Any, Any]", names: list[str], page: tuple[int, int] | None
) -> list[dict[str, Any]]:
    summed = rows.values(*names).annotate(**_sums())
    if page is not None:
        skipped, taken = page
        ranked = summed.order_by("-sum_usd_amount", "-sum_calls", *names)
        return list(ranked[skipped : skipped + taken])
    found = list(summed.order_by(*names)[: MOST + 1])
    if len(found) > MOST:
        raise TooManyRowsError(f"the answer has more than {MOST} rows")
    return found


def _rank(row: Row) -> tuple[Any, ...]:
    if row.starts_at is not None:
        return (row.starts_at, -row.sums.cost, str(row.group))
    return (-row.sums.cost, -row.sums.calls, str(row.group))


def _cut(rows: "QuerySet[M]", filters: Filters, question: Question) -> "QuerySet[M]":
    """Cut the rows into intervals of the organization's own hours, days or months."""
    if not question.interval:
        return rows
    cut = latency.interval(question.interval, filters.range)
    return cast("QuerySet[M]", rows.annotate(interval=cut))


def _sums() -> dict[str, Sum]:
    counted = ("calls", "unpriced_calls", "estimated_calls", "usd_amount", "uncertain_amount")
    timed = ("latency_sum_ms", "latency_calls")
    tokens = (f"{name}_tokens" for name in TOKEN_CLASSES)
    return {f"sum_{name}": Sum(name, default=0) for name in (*counted, *timed, *tokens)}


def _percentiles(
    filters: Filters, question: Question, names: list[str]
) -> dict[str, dict[tuple[Any, ...], Decimal]]:
    """Return p50 and p95 per group; dimensions of many values have no histograms."""
    if question.facet != Facet.MODEL:
        return {"p50": {}, "p95": {}}
    rows = latency.histogram(filters, finest=question.finest).filter(**question.conditions)
    cut = _cut(rows, filters, question)
    return {
        "p50": latency.percentiles(cut, names, latency.HALF),
        "p95": latency.percentiles(cut, names, latency.P95),
    }


def _row(
    row: Mapping[str, Any],
    question: Question,
    shares: Mapping[str, Mapping[tuple[Any, ...], Decimal]],
    key: tuple[Any, ...],
) -> Row:
    timed = row["sum_latency_calls"]
    tokens = {name: int(row[f"sum_{name}_tokens"]) for name in TOKEN_CLASSES}
    sums = Sums(
        calls=int(row["sum_calls"]),
        unpriced_calls=int(row["sum_unpriced_calls"]),
        estimated_calls=int(row["sum_estimated_calls"]),
        tokens={name: count for name, count in tokens.items() if count},
        cost=row["sum_usd_amount"],
        uncertain=row["sum_uncertain_amount"],
        average_ms=Decimal(row["sum_latency_sum_ms"]) / timed if timed else None,
        p50_ms=shares["p50"].get(key),
        p95_ms=shares["p95"].get(key),
    )
    group = tuple(row[name] for name in question.columns)
    return Row(group, row["interval"] if question.interval else None, sums)
