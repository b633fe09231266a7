"""The dearest groups of a question, page by page, with what they cost before and over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from attribution.reports import breakdown
from attribution.reports.breakdown import Question, Row, Sums
from attribution.reports.filters import Filters, Range

Group = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A page of groups, the dearest first; `more` says whether others follow."""

    rows: tuple[Row, ...]
    total: Sums
    before: Mapping[Group, Decimal]
    is_more: bool


def read(filters: Filters, question: Question, *, limit: int, after: int = 0) -> Ranked:
    """Return `limit` groups after the first `after`, the sums over all, and what each cost before.

    Before is the range of the same length that ends where this one begins.
    """
    whole = replace(question, interval="")
    rows = breakdown.read(filters, whole, page=(after, limit + 1))
    kept = tuple(rows[:limit])
    earlier = replace(filters, range=previous(filters.range))
    costs = {row.group: row.sums.cost for row in _of(earlier, whole, kept)}
    return Ranked(kept, breakdown.total(filters, whole), costs, len(rows) > limit)


def series(filters: Filters, question: Question, groups: Sequence[Row]) -> list[Row]:
    """Return the groups over the intervals of the question, in order of time."""
    return _of(filters, question, groups)


def over_time(filters: Filters, question: Question) -> list[Row]:
    """Return the sums of all groups together over the intervals of the question."""
    return breakdown.read(filters, replace(question, group_by=()))


def previous(chosen: Range) -> Range:
    """Return the range of as many days right before."""
    length = chosen.end - chosen.first
    return Range("custom", chosen.first - length, chosen.first, chosen.zone)


def _of(filters: Filters, question: Question, groups: Sequence[Row]) -> list[Row]:
    """Read the given groups alone: a condition per column, then exactly these."""
    if not groups:
        return []
    wanted = {row.group for row in groups}
    columns = {
        f"{column}__in": _known({row.group[place] for row in groups})
        for place, column in enumerate(question.columns)
        if None not in {row.group[place] for row in groups}
    }
    rows = breakdown.read(filters, question, only=columns)
    return [row for row in rows if row.group in wanted]


def _known(values: set[Any]) -> list[Any]:
    return sorted(values, key=str)
