"""Which day, week or month a summary tells of, and when it is due."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from attribution import calendar
from attribution.reports.filters import Range


@dataclass(frozen=True, slots=True)
class Span:
    """Local days [first, end) of a summary that is due from `due_at` on."""

    kind: str
    first: date
    end: date
    due_at: datetime

    @property
    def last(self) -> date:
        """Return the last day."""
        return self.end - timedelta(days=1)

    @property
    def key(self) -> str:
        """Return what a person gets once."""
        return f"{self.kind}:{self.first.isoformat()}"

    def range(self, zone: ZoneInfo) -> Range:
        """Return the days as reports read them."""
        return Range("custom", self.first, self.end, zone)

    def before(self, zone: ZoneInfo) -> Range:
        """Return the days it is compared with: as many before, of a month the month before."""
        if self.kind == "monthly":
            return Range("custom", calendar.add_months(self.first, -1), self.first, zone)
        return Range("custom", self.first - (self.end - self.first), self.first, zone)


def newest(kind: str, *, hour: int, at: datetime, zone: ZoneInfo) -> Span:
    """Return the newest span that has ended and whose hour has come."""
    end = _end(kind, calendar.local_day(at, zone))
    if _at_hour(end, hour, zone) > at:
        end = _first(kind, end)
    return Span(kind, _first(kind, end), end, _at_hour(end, hour, zone))


def _at_hour(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """Return the instant of a local hour; of one that does not exist, what clocks show instead."""
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def _end(kind: str, today: date) -> date:
    """Return the day on which the newest span that has ended did so."""
    if kind == "daily":
        return today
    if kind == "weekly":
        return today - timedelta(days=today.weekday())
    return calendar.month_start(today)


def _first(kind: str, end: date) -> date:
    if kind == "daily":
        return end - timedelta(days=1)
    return end - timedelta(days=7) if kind == "weekly" else calendar.add_months(end, -1)
