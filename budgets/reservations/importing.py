"""Files of calls: every row is checked first, then recorded batch by batch; again changes nothing."""

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from uuid import UUID

from attribution import money
from attribution.imports import columns
from attribution.imports.columns import DIMENSIONS, NUMBERS, Layout, Row, RowError
from attribution.isolation.transaction import tenant
from attribution.prices.tokens import CLASSES, Tokens
from attribution.tenancy.models import CostCenter, Organization, UnknownCostCenter
from budgets.reservations import ingest
from budgets.reservations.ingest import Event

BATCH = 5_000
MOST_PROBLEMS = 50
GZIP = b"\x1f\x8b"

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class Problem:
    """A row that is not recorded, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class Checked:
    """What a file holds, known before anything is written."""

    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0

    def note(self, at: datetime) -> None:
        """Count a good row."""
        self.rows += 1
        self.first = min(self.first or at, at)
        self.last = max(self.last or at, at)

    def refuse(self, line: int, reason: str) -> None:
        """Count a bad row; the first fifty are kept."""
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(line, reason))


@dataclass(slots=True)
class Imported:
    """What an import did."""

    results: Counter[str] = field(default_factory=Counter)
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


def check(
    path: Path, layout: Layout, organization_id: UUID, *, at: datetime, progress: Progress
) -> Checked:
    """Read the whole file and return what is wrong with it; writes nothing."""
    with tenant(organization_id):
        organization = Organization.objects.get(pk=organization_id)
        known = set(CostCenter.objects.values_list("code", flat=True))
    oldest = at - timedelta(days=organization.retention_days)
    is_strict = organization.unknown_cost_center == UnknownCostCenter.REFUSE
    checked = Checked()
    for row in _rows(path, layout):
        try:
            found = event(row, layout, source="")
            _require(found, oldest=oldest, newest=at, known=known if is_strict else None)
            checked.note(found.occurred_at)
        except RowError as error:
            checked.refuse(row.line, str(error))
        progress("checked", checked.rows + checked.problem_count)
    return checked


def run(
    path: Path, layout: Layout, organization_id: UUID, *, source: str, progress: Progress
) -> Imported:
    """Record a checked file, 5,000 rows at a time, each batch one transaction of its own."""
    done = Imported()
    rows = _rows(path, layout)
    while batch := list(islice(_events(rows, layout, source), BATCH)):
        first, last = (pick(one.occurred_at for one in batch) for pick in (min, max))
        ingest.prepare(first.date(), last.date())
        with tenant(organization_id):
            answers = ingest.record(batch)
        for answer in answers:
            done.results[answer.result] += 1
            done.rejected.update([answer.error] if answer.error else [])
            done.cost += answer.cost or 0
            done.unpriced += answer.result == "recorded" and answer.cost is None
        progress("recorded", done.results.total())
    return done


def event(row: Row, layout: Layout, *, source: str) -> Event:
    """Turn a row into the call it tells of, or raise RowError."""
    values = row.values
    if not values.get("model"):
        raise RowError("model: is empty")
    described = {name: values[name] for name in DIMENSIONS if values.get(name)}
    center = described.pop("cost_center", "")
    counted = {name: columns.whole(name, values[name]) for name in NUMBERS if values.get(name)}
    return Event(
        source=source,
        event_id=values.get("event_id") or row.name,
        occurred_at=columns.instant(values.get("timestamp", ""), layout.zone),
        model=values["model"],
        provider=values.get("provider", ""),
        tokens=Tokens(**{name: columns.whole(name, values.get(name, "")) for name in CLASSES}),
        cost=_cost(values.get("cost", "")),
        service_tier=values.get("service_tier", ""),
        cost_center=center,
        columns={**described, **counted},
    )


def _events(rows: Iterator[Row], layout: Layout, source: str) -> Iterator[Event]:
    """Yield the good rows; the bad ones were listed before, and the caller decided to leave them out."""
    for row in rows:
        try:
            yield event(row, layout, source=source)
        except RowError:
            continue


def _rows(path: Path, layout: Layout) -> Iterator[Row]:
    with path.open("rb") as raw:
        is_packed = raw.read(len(GZIP)) == GZIP
    unpack = gzip.open if is_packed else open
    with unpack(path, "rt", encoding="utf-8-sig", newline="") as text:
        yield from columns.read(text, layout)


def _require(found: Event, *, oldest: datetime, newest: datetime, known: set[str] | None) -> None:
    if found.occurred_at < oldest:
        raise RowError(f"timestamp: {found.occurred_at:%Y-%m-%d} is older than calls are kept")
    if found.occurred_at > newest:
        raise RowError(f"timestamp: {found.occurred_at:%Y-%m-%d %H:%M} is in the future")
    if known is not None and found.cost_center and found.cost_center not in known:
        raise RowError(f"cost_center: “{found.cost_center}” is unknown")


def _cost(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        cost = money.parse(text)
    except money.MoneyError as error:
        raise RowError(f"cost: {error}") from error
    if cost < 0:
        raise RowError(f"cost: {text} is negative")
    return cost
