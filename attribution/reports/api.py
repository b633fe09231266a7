"""Costs as JSON: the numbers of the pages, for people's scripts and for programs."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.utils import timezone
from rest_framework.request import Request

from attribution import money
from attribution.ledger import rollups
from attribution.prices.tokens import INPUT_SIDE, OUTPUT_SIDE
from attribution.reports import breakdown, filters
from attribution.reports.breakdown import DIMENSIONS, Question, Row, Sums, TooManyRowsError
from attribution.reports.filters import FilterError, Filters
from attribution.tenancy.api import ApiError, Asker, JsonView
from attribution.tenancy.models import CostCenter, Department

USUAL = "cost_center,model"
TENTH = Decimal("0.1")
LONGEST_NAME = 256
VALUES = frozenset(DIMENSIONS) - {"cost_center", "department"}  # told apart by their own names
ANALYTICS = frozenset(
    {"start", "end", "group_by", "interval", "cost_center", "department", *VALUES}
)
SUMMARY = frozenset({"start_date", "end_date", "cost_center"})


class CostsView(JsonView):
    """Figures of the cost centers that the asker may look at."""

    key_scope = "costs"
    parameters: frozenset[str] = frozenset()

    def get(self, request: Request) -> HttpResponse:
        """Answer with what `told` says; a parameter that cannot be meant is named."""
        query: QueryDict = request.query_params

        def work(asker: Asker) -> Any:
            try:
                _check(query, self.parameters)
                return self.told(asker, query, timezone.now())
            except FilterError as error:
                param, _, _rest = str(error).partition(":")
                raise ApiError("invalid_filter", str(error), param=param) from error
            except TooManyRowsError as error:
                raise ApiError(error.code, str(error), status=422) from error

        return self.for_anyone(request, work)

    @abstractmethod
    def told(self, asker: Asker, query: QueryDict, at: datetime) -> Any:
        """Return the answer."""


class Analytics(CostsView):
    """`GET /v1/analytics/costs`: requests, tokens, cost and latency by group and interval."""

    rule = "attribution:costs-analyze"
    parameters = ANALYTICS

    def told(self, asker: Asker, query: QueryDict, at: datetime) -> dict[str, Any]:
        """Return the breakdown, the dearest group first."""
        chosen = _filters(asker, query, ("start", "end"), at)
        question = Question(
            tuple((query.get("group_by") or USUAL).split(",")),
            values=_values(query),
        )
        cut = Question(question.group_by, query.get("interval") or "", question.values)
        names = _Names(question)
        series = _series(breakdown.read(chosen, cut), names) if cut.interval else None
        return {
            **_head(asker, chosen, at=rollups.advanced_at()),
            "group_by": list(question.group_by),
            "interval": cut.interval or None,
            "total": _figures(breakdown.total(chosen, question)),
            "breakdown": _nested(breakdown.read(chosen, question), names, series),
        }


class Summary(CostsView):
    """`GET /costs/summary`: one row per cost center and model, the dearest first."""

    rule = "attribution:costs-summarize"
    parameters = SUMMARY

    def told(self, asker: Asker, query: QueryDict, at: datetime) -> dict[str, Any]:
        """Return the rows."""
        chosen = _filters(asker, query, ("start_date", "end_date"), at)
        question = Question(("cost_center", "model"))
        names = _Names(question)
        return {
            **_head(asker, chosen, at=rollups.advanced_at()),
            "data": [_summarized(row, names) for row in breakdown.read(chosen, question)],
        }


class _Names:
    """What groups are called in an answer; an empty name is what is not attributed."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._known: dict[UUID, str] = {}
        if "cost_center" in question.group_by:
            self._known |= dict(CostCenter.objects.values_list("pk", "code"))
        if "department" in question.group_by:
            self._known |= dict(Department.objects.values_list("pk", "name"))

    def of(self, row: Row) -> tuple[str, ...]:
        """Return the names of a row's group."""
        pairs = zip(self._question.group_by, row.group, strict=True)
        return tuple(
            str(value) if name in VALUES else self._known.get(value, "") for name, value in pairs
        )


def _check(query: QueryDict, known: frozenset[str]) -> None:
    """Refuse what would silently not count: unknown names, empty and endless values."""
    for name, values in query.lists():
        if name not in known:
            raise FilterError(f"{name[:40]}: there is no such parameter")
        if any(len(str(value)) > LONGEST_NAME or "\0" in str(value) for value in values):
            raise FilterError(f"{name}: too long, or no text")
    for name in known - set(DIMENSIONS):
        if len(query.getlist(name)) > 1:
            raise FilterError(f"{name}: stands twice")


def _values(query: QueryDict) -> dict[str, tuple[Any, ...]]:
    """Read which values count; a department is named, and stands for itself alone."""
    found: dict[str, tuple[Any, ...]] = {
        name: tuple(query.getlist(name)) for name in sorted(VALUES) if name in query
    }
    if names := query.getlist("department"):
        ids = dict(Department.objects.filter(name__in=names).values_list("name", "pk"))
        if strange := [str(name) for name in names if name not in ids]:
            raise FilterError(f"department: {strange[0][:64]}")
        found["department"] = tuple(ids.values())
    return found


def _filters(asker: Asker, query: QueryDict, names: tuple[str, str], at: datetime) -> Filters:
    start, end = (query.get(name) or "" for name in names)
    try:
        chosen = filters.span(start, end, zone=asker.zone, at=at)
    except FilterError as error:  # in the words of this address
        text = str(error)
        for word, name in zip(("start", "end"), names, strict=True):
            text = (
                f"{name}:{text.removeprefix(word + ':')}" if text.startswith(word + ":") else text
            )
        raise FilterError(text) from error
    codes = [str(code) for code in query.getlist("cost_center") if code]
    if strange := [code for code in codes if code not in asker.cost_centers]:
        raise FilterError(f"cost_center: {strange[0][:64]}")
    return Filters(
        chosen,
        {code: asker.cost_centers[code] for code in codes} if codes else None,
        tuple(asker.cost_centers.values()) if asker.is_narrowed else None,
    )


def _head(asker: Asker, chosen: Filters, *, at: datetime | None) -> dict[str, Any]:
    """Return what an answer is about: bounds, zone, how fresh, and whether it is a part only."""
    return {
        "start": chosen.range.starts_at.isoformat(),
        "end": chosen.range.ends_at.isoformat(),
        "time_zone": asker.organization.time_zone,
        "as_of": at.isoformat() if at else None,
        "currency": "USD",
        "cost_centers": sorted(asker.cost_centers) if asker.is_narrowed else None,
    }


def _nested(
    rows: list[Row], names: _Names, series: Mapping[tuple[str, ...], list[Any]] | None
) -> dict[str, Any]:
    """Return figures under the names of their group; outer names stand by what they cost too."""
    costs: dict[tuple[str, ...], Decimal] = {}
    for row in rows:
        name = names.of(row)
        for depth in range(1, len(name) + 1):
            costs[name[:depth]] = costs.get(name[:depth], Decimal(0)) + row.sums.cost
    found: dict[str, Any] = {}
    ranked = [(names.of(row), row) for row in rows]
    for name, row in sorted(ranked, key=lambda pair: _rank(pair[0], costs)):
        inner = found
        for part in name[:-1]:
            inner = inner.setdefault(part, {})
        inner[name[-1]] = _figures(row.sums)
        if series is not None:
            inner[name[-1]]["series"] = series.get(name, [])
    return found


def _rank(name: tuple[str, ...], costs: Mapping[tuple[str, ...], Decimal]) -> tuple[Any, ...]:
    return tuple((-costs[name[: depth + 1]], part) for depth, part in enumerate(name))


def _series(rows: list[Row], names: _Names) -> dict[tuple[str, ...], list[Any]]:
    found: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        starts_at = row.starts_at.isoformat() if row.starts_at else None
        found.setdefault(names.of(row), []).append({"starts_at": starts_at, **_figures(row.sums)})
    return found


def _figures(sums: Sums) -> dict[str, Any]:
    per_million = sums.cost_per_million
    return {
        "requests": sums.calls,
        "unpriced_requests": sums.unpriced_calls,
        "estimated_requests": sums.estimated_calls,
        "tokens": dict(sums.tokens),
        "total_tokens": sums.total_tokens,
        "cost_usd": money.text(sums.cost),
        "uncertain_usd": money.text(sums.uncertain),
        "cost_per_million_tokens_usd": None if per_million is None else money.text(per_million),
        "latency_ms": {
            "average": _tenths(sums.average_ms),
            "p50": _tenths(sums.p50_ms),
            "p95": _tenths(sums.p95_ms),
        },
    }


def _summarized(row: Row, names: _Names) -> dict[str, Any]:
    center, model = names.of(row)
    tokens = row.sums.tokens
    return {
        "cost_center": center or None,
        "model": model,
        "prompt_tokens": sum(tokens.get(name, 0) for name in INPUT_SIDE),
        "completion_tokens": sum(tokens.get(name, 0) for name in OUTPUT_SIDE),
        **_figures(row.sums),
    }


def _tenths(milliseconds: Decimal | None) -> str | None:
    if milliseconds is None:
        return None
    return format(milliseconds.quantize(TENTH, rounding=ROUND_HALF_EVEN), "f")
