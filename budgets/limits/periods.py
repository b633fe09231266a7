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

    `start_month` shifts quarters and years; weeks begin on `week_start` (Monday is 0). `fiscal` is
    the fiscal year, or with `pattern` (4-4-5, 4-5-4, 5-4-4) and `anchor` a fiscal period of weeks.
    `custom` is the one window [`starts_on`, `ends_on`).
    """

    kind: str
    zone: ZoneInfo
    start_month: int = 1
    week_start: int = 0
    pattern: str = ""
    anchor: date | None = None
    starts_on: date | None = None
    ends_on: date | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PeriodError(f"unknown period: {self.kind!r}")
        if not (1 <= self.start_month <= 12 and 0 <= self.week_start <= 6):
            raise PeriodError("the start month is 1 to 12, the start of the week 0 to 6")
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
        name: date.fromisoformat(calendar_of[name])
        for name in ("anchor", "starts_on", "ends_on")
        if calendar_of.get(name)
    }
    return PeriodSpec(
        period,
        ZoneInfo(zone),
        start_month=calendar_of.get("start_month") or start_month,
        week_start=calendar_of.get("week_start", 0),
        pattern=calendar_of.get("pattern", ""),
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


def windows_until(spec: PeriodSpec, start: datetime, end: datetime) -> list[Window]:
    """Return the windows that begin before `end`, from the one that holds `start` on."""
    windows: list[Window] = []
    window = window_at(spec, start)
    while window and window.starts_at < end:
        windows.append(window)
        window = next_window(spec, window)
    return windows
