"""What the Explorer is asked, read from and written to a URL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

from attribution.ledger.models import HOURLY
from attribution.reports.breakdown import DIMENSIONS, FACETS, INTERVALS, Question
from attribution.reports.filters import FilterError, Filters, Query

MEASURES = ("cost", "calls", "tokens")
USUAL = "cost_center"
VALUES = tuple(name for name in DIMENSIONS if name != "cost_center")
IDS = frozenset({"department"})  # whose values are ids of ours
NEXT = ("department", "cost_center", "model", "feature", "user", "prompt", "api_key", "path")
LONGEST = 256
DEEPEST = 5000  # groups; who looks further wants the file


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what is drawn of it, and how many groups were turned over already."""

    filters: Filters
    question: Question
    measure: str = "cost"
    after: int = 0

    @property
    def by(self) -> str:
        """Return the first dimension."""
        return self.question.group_by[0]

    @property
    def then(self) -> str:
        """Return the second dimension, or nothing."""
        return self.question.group_by[1] if len(self.question.group_by) > 1 else ""

    def parameters(self) -> list[tuple[str, str]]:
        """Return the URL parameters of everything but range and cost centers."""
        pairs = [("by", self.by), ("then", self.then), ("interval", self.question.interval)]
        pairs += [("measure", self.measure), ("after", str(self.after or ""))]
        chosen = [(name, str(one)) for name, kept in self.question.values.items() for one in kept]
        return [(name, text) for name, text in pairs if text] + chosen

    def url(self) -> str:
        """Return the URL query that asks the same."""
        return f"?{urlencode([*self.filters.parameters(), *self.parameters()])}"

    def changed(self, **fields: Any) -> Self:
        """Return the question from its first page, with other fields."""
        question = replace(self.question, **{k: v for k, v in fields.items() if k != "filters"})
        return replace(
            self, question=question, filters=fields.get("filters", self.filters), after=0
        )

    def turned(self, after: int) -> Self:
        """Return the same question from another place in its ranking."""
        return replace(self, after=after)

    def without(self, name: str) -> Self:
        """Return the question without the values chosen of one dimension."""
        kept = {key: values for key, values in self.question.values.items() if key != name}
        return self.changed(values=kept)

    def inside(self, values: Mapping[str, Any], codes: Mapping[UUID, str]) -> Self | None:
        """Return what is asked of one group alone, by the next dimension; None where nothing is left."""
        filters, chosen = self.filters, dict(self.question.values)
        for name, value in values.items():
            if name != "cost_center":
                chosen[name] = (value,)
            elif value in codes:
                filters = replace(filters, cost_centers={codes[value]: value})
            else:
                return None  # what is not attributed is no cost center that could be chosen
        free = [name for name in NEXT if name not in {*values, *chosen} and _fit(name, chosen)]
        if not free:
            return None
        return self.changed(filters=filters, group_by=(free[0],), values=chosen)


def parse(query: Query, filters: Filters) -> Asked:
    """Read what is asked; what cannot be told apart together, or is unknown, is a FilterError."""
    by, then = str(query.get("by") or USUAL), str(query.get("then") or "")
    values = {name: _values(name, query.getlist(name)) for name in VALUES if query.getlist(name)}
    measure = str(query.get("measure") or MEASURES[0])
    if measure not in MEASURES:
        raise FilterError(f"measure: {measure[:40]}")
    group_by = (by, then) if then and then != by else (by,)
    question = Question(group_by, values=values)
    interval = _interval(str(query.get("interval") or ""), filters, question)
    after = str(query.get("after") or "0")
    if not (after.isdecimal() and len(after) <= 4 and int(after) <= DEEPEST):
        raise FilterError(f"after: {after[:40]}")
    return Asked(filters, replace(question, interval=interval), measure, int(after))


def offered(question: Question) -> list[str]:
    """Return the intervals that can be told apart."""
    return [name for name in INTERVALS if name != "hour" or question.facet in HOURLY]


def _interval(wanted: str, filters: Filters, question: Question) -> str:
    """Return the interval that is drawn; days, unless the range is one day or more than half a year."""
    length = (filters.range.end - filters.range.first).days
    usual = "day" if length > 1 else offered(question)[0]
    interval = wanted or ("month" if length > 184 else usual)
    if interval not in INTERVALS:
        raise FilterError(f"interval: {interval[:40]}")
    if interval == "hour" and (length > 14 or interval not in offered(question)):
        return "day"
    return interval


def _values(name: str, given: Sequence[object]) -> tuple[Any, ...]:
    texts = [str(value) for value in given]
    if any(len(text) > LONGEST or "\0" in text for text in texts):
        raise FilterError(f"{name}: too long, or no text")
    if name not in IDS:
        return tuple(texts)
    try:
        return tuple(UUID(text) for text in texts)
    except ValueError as error:
        raise FilterError(f"{name}: {texts[0][:40]}") from error


def _fit(name: str, chosen: Mapping[str, Any]) -> bool:
    return name not in FACETS or not any(other in FACETS for other in chosen)
