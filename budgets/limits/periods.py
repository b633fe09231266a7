"""The windows of a budget: which half-open UTC window holds an instant, and which follows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from attribution import calendar

MONTHS = {"month": 1, "quarter": 3, "year": 12, "fiscal": 12}
KINDS = ("day", "week", *MONTHS, "custom")


class PeriodError(ValueError):
    """A period that is not described well enough to have windows."""

    code = "invalid_period"


@dataclass(frozen=True, slots=True)
class PeriodSpec:
    """How a budget cuts time, in its own zone.

    `start_month` shifts quarters and years; `year_month` begins the fiscal year, at whose end carried
    money expires; weeks begin on `week_start` (Monday is 0). `fiscal` is the fiscal year, or with `pattern` (4-4-5, 4-5-4, 5-4-4) and `anchor` a fiscal period of weeks.
    `custom` is the one window [`starts_on`, `ends_on`).
    """

    kind: str
    zone: ZoneInfo
    start_month: int = 1
    year_month: int = 1
    week_start: int = 0
    pattern: str = ""
    anchor: date | None = None
    starts_on: date | None = None
    ends_on: date | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PeriodError(f"unknown period: {self.kind!r}")
        if not {self.start_month, self.year_month} <= set(range(1, 13)):
            raise PeriodError("a month is 1 to 12")
        if not 0 <= self.week_start <= 6:
            raise PeriodError("a week begins on day 0 to 6")
        if self.pattern and (self.pattern not in calendar.WEEKS or self.anchor is None):
            raise PeriodError("a calendar of weeks needs a known pattern and an anchor date")
        if self.kind == "custom" and not self._custom_days():
            raise PeriodError("a custom period needs a first day before its end")

    def _custom_days(self) -> tuple[date, date] | None:
        if self.starts_on is None or self.ends_on is None or self.starts_on >= self.ends_on:
            return None
        return self.starts_on, self.ends_on

    def days(self, day: date) -> tuple[date, date]:
        """Return first day and following first day of the period that holds the local `day`."""
        if self.kind == "custom" and (custom := self._custom_days()):
            return custom
        if self.kind == "day":
            return day, day + timedelta(days=1)
        if self.kind == "week":
            first = day - timedelta(days=(day.weekday() - self.week_start) % 7)
            return first, first + timedelta(weeks=1)
        if self.kind == "fiscal" and self.anchor and self.pattern:
            return calendar.WeekYear(self.pattern, self.anchor).period(day)
        months = MONTHS[self.kind]
        first = calendar.span_start(day, self.start_month, months=months)
        return first, calendar.add_months(first, months)


def spec_of(
    period: str, calendar_of: Mapping[str, Any], *, zone: str, fiscal_start_month: int = 1
) -> PeriodSpec:
    """Read a budget's period: its kind, its `calendar` column, its zone, the house's fiscal year.

    Keys of the calendar, all optional: `start_month`, `week_start`, `pattern`, and the ISO dates
    `anchor`, `starts_on`, `ends_on`.
    """
    start_month = fiscal_start_month if period == "fiscal" else 1
    dates = {
        name: date.fromisoformat(str(calendar_of[name]))
        for name in ("anchor", "starts_on", "ends_on")
        if calendar_of.get(name)
    }
    return PeriodSpec(
        period,
        ZoneInfo(zone),
        start_month=int(calendar_of.get("start_month") or start_month),
        year_month=int(calendar_of.get("start_month") or fiscal_start_month),
        week_start=int(calendar_of.get("week_start") or 0),
        pattern=str(calendar_of.get("pattern") or ""),
        **dates,
    )


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open UTC bounds of one budget period."""

    starts_at: datetime
    ends_at: datetime


def window_at(spec: PeriodSpec, instant: datetime) -> Window | None:
    """Return the window that holds `instant`; None outside of a custom period."""
    days = spec.days(calendar.local_day(instant, spec.zone))
    window = Window(*calendar.bounds(*days, spec.zone))
    return window if window.starts_at <= instant < window.ends_at else None


def next_window(spec: PeriodSpec, window: Window) -> Window | None:
    """Return the window that begins where `window` ends; a custom period has none."""
    return window_at(spec, window.ends_at)


def joined(spec: PeriodSpec, instant: datetime, *, last: datetime | None) -> Window | None:
    """Return the window that holds `instant` where the budget's opened periods end at `last`.

    It begins where those end, also when zone or calendar changed meanwhile, so that there is neither
    gap nor overlap: the change acts from here on. What then remains of the new calendar's window
    stands alone if it is half of it or more, else it is added to the next: a full limit is never
    given for a stump, and a period is at most half longer than usual. Periods that nobody opened
    for longer than that are not made up for.
    """
    window = window_at(spec, instant)
    if window is None or last is None or spec.kind == "custom":
        return window
    held = window_at(spec, last)
    if held is None or not window.starts_at - _half(held) < last <= instant:
        return window
    if held.ends_at - last >= _half(held):
        return Window(last, held.ends_at)
    following = next_window(spec, held)
    return Window(last, following.ends_at) if following else None


def year_start(spec: PeriodSpec, window: Window) -> datetime:
    """Return when the fiscal year of a window began; a custom period is a year of its own.

    The year is that of a day well inside: a window that was joined may begin hours before its own.
    """
    if spec.kind == "custom":
        return window.starts_at
    inside = window.starts_at + min(_half(window), timedelta(hours=26))
    day = calendar.local_day(inside, spec.zone)
    if spec.pattern and spec.anchor:
        first = calendar.WeekYear(spec.pattern, spec.anchor).year_start(day)
    else:
        first = calendar.fiscal_year_start(day, spec.year_month)
    return min(calendar.day_start(first, spec.zone), window.starts_at)


def _half(window: Window) -> timedelta:
    return (window.ends_at - window.starts_at) / 2


def windows_until(spec: PeriodSpec, start: datetime, end: datetime) -> list[Window]:
    """Return the windows that begin before `end`, from the one that holds `start` on."""
    windows: list[Window] = []
    window = window_at(spec, start)
    while window and window.starts_at < end:
        windows.append(window)
        window = next_window(spec, window)
    return windows
