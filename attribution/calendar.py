"""Months, fiscal years and their half-open UTC bounds in a zone; also where midnight is missing."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

WEEKS = {"4-4-5": (4, 4, 5), "4-5-4": (4, 5, 4), "5-4-4": (5, 4, 4)}
SECOND = timedelta(seconds=1)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Return, in UTC, the first existing instant at or after local midnight of `day`."""
    midnight = datetime.combine(day, time.min, zone)
    before = midnight.replace(fold=1).astimezone(UTC)
    after = midnight.astimezone(UTC)
    if _wall(after, zone) == midnight.replace(tzinfo=None):
        return after  # midnight exists; where it comes twice, fold 0 is its first occurrence
    while after - before > SECOND:  # in a gap: fold 1 lies before the jump, fold 0 after it
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if _wall(middle, zone) < midnight.replace(tzinfo=None):
            before = middle
        else:
            after = middle
    return after


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """Return the day whose half-open bounds hold `instant`.

    Where clocks go back over midnight the date on the wall repeats; the later day has begun.
    """
    day = instant.astimezone(zone).date()
    following = day + timedelta(days=1)
    return following if instant >= day_start(following, zone) else day


def bounds(first: date, end: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the UTC bounds of the local days [first, end)."""
    return day_start(first, zone), day_start(end, zone)


def month_start(day: date) -> date:
    """Return the first day of the month."""
    return day.replace(day=1)


def add_months(first: date, count: int) -> date:
    """Return the first day of the month `count` months after the month of `first`."""
    index = first.year * 12 + first.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)


def month_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the UTC bounds of the month that holds `day`."""
    first = month_start(day)
    return bounds(first, add_months(first, 1), zone)


def fiscal_year_start(day: date, start_month: int) -> date:
    """Return the first day of the fiscal year, beginning with `start_month`, that holds `day`."""
    return span_start(day, start_month, months=12)


def span_start(day: date, start_month: int, *, months: int) -> date:
    """Return the first day of the span of `months`, counted from `start_month`, holding `day`."""
    return add_months(month_start(day), -((day.month - start_month) % months))


@dataclass(frozen=True, slots=True)
class WeekYear:
    """A fiscal year of whole weeks: quarters of 4-4-5, 4-5-4 or 5-4-4 weeks from an anchor date.

    Each year begins on the anchor's weekday nearest to the anchor's day of the year; a 53rd week,
    where the next year begins that much later, joins the last period.
    """

    pattern: str
    anchor: date

    def year_start(self, day: date) -> date:
        """Return the first day of the fiscal year that holds `day`."""
        return max(
            first for year in range(-2, 2) if (first := self._nearest(day.year + year)) <= day
        )

    def periods(self, day: date) -> list[date]:
        """Return the 13 boundaries of the 12 periods of the fiscal year that holds `day`."""
        first = self.year_start(day)
        starts = [first]
        for weeks in WEEKS[self.pattern] * 4:
            starts.append(starts[-1] + timedelta(weeks=weeks))
        starts[-1] = self.year_start(first + timedelta(days=380))
        return starts

    def period(self, day: date) -> tuple[date, date]:
        """Return first day and following first day of the period that holds `day`."""
        starts = self.periods(day)
        return next((a, b) for a, b in pairwise(starts) if a <= day < b)

    def _nearest(self, year: int) -> date:
        # 29 February has no anniversary in three years of four: the day before it has
        day = 28 if (self.anchor.month, self.anchor.day) == (2, 29) else self.anchor.day
        middle = date(year, self.anchor.month, day)
        ahead = (self.anchor.weekday() - middle.weekday()) % 7
        return middle + timedelta(days=ahead if ahead <= 3 else ahead - 7)


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)
