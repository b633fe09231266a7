"""What a page looks at: its time range and cost centers, read from and written to the URL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from attribution import calendar

DAYS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
NAMES = (*DAYS, "month", "custom")
DEFAULT = "30d"
LONGEST = timedelta(days=366)


class FilterError(ValueError):
    """A range or cost center that no page can show; names what to correct."""

    code = "invalid_filter"


class Query(Protocol):
    """The part of Django's QueryDict that filters are read from."""

    def get(self, key: str, /) -> object:
        """Return the last value of a parameter."""

    def getlist(self, key: str, /) -> Sequence[object]:
        """Return every value of a parameter."""


@dataclass(frozen=True, slots=True)
class Range:
    """Local days [first, end), their half-open UTC bounds, and the zone they are days of."""

    name: str
    first: date
    end: date
    zone: ZoneInfo

    @property
    def starts_at(self) -> datetime:
        """Return the instant at which the first day begins."""
        return calendar.day_start(self.first, self.zone)

    @property
    def ends_at(self) -> datetime:
        """Return the instant at which the day after the last begins."""
        return calendar.day_start(self.end, self.zone)

    @property
    def last(self) -> date:
        """Return the last day."""
        return self.end - timedelta(days=1)

    @property
    def days(self) -> tuple[date, ...]:
        """Return every day of the range."""
        return tuple(self.first + timedelta(days=n) for n in range((self.end - self.first).days))

    @property
    def is_hourly(self) -> bool:
        """Say whether a chart of this range shows hours; of a longer one, days."""
        return self.end - self.first <= timedelta(days=31)

    def until(self, today: date) -> "Range":
        """Return the part that is not in the future."""
        following = today + timedelta(days=1)
        return replace(self, end=max(self.first, min(self.end, following)))

    def last_days(self, count: int) -> "Range":
        """Return at most the last `count` days."""
        return replace(self, first=max(self.first, self.end - timedelta(days=count)))


@dataclass(frozen=True, slots=True)
class Span(Range):
    """A range between two instants, each on a full hour: rollups tell nothing finer apart."""

    starts: datetime
    ends: datetime

    @property
    def starts_at(self) -> datetime:
        """Return the first instant."""
        return self.starts

    @property
    def ends_at(self) -> datetime:
        """Return the instant after the last."""
        return self.ends


@dataclass(frozen=True, slots=True)
class Filters:
    """A range, the cost centers chosen (by code), and those a person is narrowed to, if any.

    With neither, everything counts, calls without a cost center included.
    """

    range: Range
    cost_centers: Mapping[str, UUID] | None = None
    within: tuple[UUID, ...] | None = None

    @property
    def cost_center_ids(self) -> tuple[UUID, ...] | None:
        """Return the ids of the cost centers that count, or None for everything."""
        return self.within if self.cost_centers is None else tuple(self.cost_centers.values())

    def parameters(self) -> list[tuple[str, str]]:
        """Return the URL parameters that say the same."""
        chosen = [("range", self.range.name)]
        if self.range.name == "custom":
            chosen += [
                ("from", self.range.first.isoformat()),
                ("to", self.range.last.isoformat()),
            ]
        return chosen + [("cost_center", code) for code in self.cost_centers or ()]

    def urlencode(self) -> str:
        """Return the URL query that says the same."""
        return urlencode(self.parameters())


def parse(
    query: Query,
    *,
    cost_centers: Mapping[str, UUID],
    is_narrowed: bool,
    zone: ZoneInfo,
    at: datetime,
) -> Filters:
    """Read filters from a URL; `cost_centers` are the codes and ids this person may look at."""
    chosen = [str(code) for code in query.getlist("cost_center") if code]
    strange = [code for code in chosen if code not in cost_centers]
    if strange:
        raise FilterError(f"cost_center: {strange[0]}")
    return Filters(
        read_range(query, today=calendar.local_day(at, zone), zone=zone),
        {code: cost_centers[code] for code in chosen} if chosen else None,
        tuple(cost_centers.values()) if is_narrowed else None,
    )


def read_range(query: Query, *, today: date, zone: ZoneInfo) -> Range:
    """Read the time range; a custom one has both days, in order, and at most a year."""
    name = str(query.get("range") or DEFAULT)
    if name == "custom":
        return _custom(query, zone)
    return named(name, today=today, zone=zone)


def named(name: str, *, today: date, zone: ZoneInfo) -> Range:
    """Return a range by its name; all but the month end with today."""
    if name == "month":
        first = calendar.month_start(today)
        return Range(name, first, calendar.add_months(first, 1), zone)
    if name not in DAYS:
        raise FilterError(f"range: {name}")
    following = today + timedelta(days=1)
    return Range(name, following - timedelta(days=DAYS[name]), following, zone)


def span(start: str, end: str, *, zone: ZoneInfo, at: datetime) -> Range:
    """Read two bounds, days or instants: a day counts whole, an instant is exact and half open.

    Without them, the last 30 days.
    """
    usual = named(DEFAULT, today=calendar.local_day(at, zone), zone=zone)
    starts = _bound("start", start, zone, is_end=False) if start else usual.starts_at
    ends = _bound("end", end, zone, is_end=True) if end else usual.ends_at
    if starts >= ends:
        raise FilterError("start: is not before end")
    if ends - starts > LONGEST + timedelta(hours=2):  # a year's days, one of 25 hours among them
        raise FilterError("end: more than a year after start")
    first = calendar.local_day(starts, zone)
    last = calendar.local_day(ends - timedelta(microseconds=1), zone)
    return Span("custom", first, last + timedelta(days=1), zone, starts, ends)


def _bound(name: str, text: str, zone: ZoneInfo, *, is_end: bool) -> datetime:
    """Read a bound; a `+` that arrived as a blank is meant as it was."""
    if len(text) <= 10:
        day = _day({name: text}, name)
        return calendar.day_start(day + timedelta(days=is_end), zone)
    try:
        instant = datetime.fromisoformat(text[:11] + text[11:].replace(" ", "+"))
    except ValueError as error:
        raise FilterError(f"{name}: {text[:40]}") from error
    if not 2000 <= instant.year < 2100:
        raise FilterError(f"{name}: {text[:40]}")
    instant = instant if instant.tzinfo else instant.replace(tzinfo=zone)
    if all(_is_within_hour(instant.astimezone(grid)) for grid in (UTC, zone)):
        raise FilterError(f"{name}: {text[:40]} is not on a full hour")
    return instant.astimezone(UTC)


def _is_within_hour(instant: datetime) -> bool:
    return bool(instant.minute or instant.second or instant.microsecond)


def _custom(query: Query, zone: ZoneInfo) -> Range:
    first, last = (_day(query, name) for name in ("from", "to"))
    if first > last:
        raise FilterError("from: is after to")
    if last - first >= LONGEST:
        raise FilterError("to: more than a year after from")
    return Range("custom", first, last + timedelta(days=1), zone)


def _day(query: Query | Mapping[str, str], name: str) -> date:
    text = str(query.get(name) or "")
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise FilterError(f"{name}: {text}") from error
    if not date(2000, 1, 1) <= day < date(2100, 1, 1):
        raise FilterError(f"{name}: {text}")
    return day
