"""Zones and calendars change and fiscal years end: periods still join, and know their year."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.limits.periods import (
    PeriodSpec,
    Window,
    joined,
    window_at,
    windows_until,
    year_start,
)
from tests.budgets.limits.test_periods import PARIS, bounds, instants, specs, window


def length(found: Window) -> timedelta:
    return found.ends_at - found.starts_at


@settings(max_examples=300, deadline=None)
@given(specs, specs, instants, st.integers(0, 3), st.integers(0, 999))
def test_a_change_of_zone_or_calendar_leaves_no_gap_and_no_overlap(
    old: PeriodSpec, new: PeriodSpec, start: datetime, opened: int, share: int
) -> None:
    last = start
    for _ in range(opened + 1):
        found = window_at(old, last)
        assert found is not None
        last = found.ends_at
    chain: list[Window] = []
    for _ in range(4):
        following = joined(new, last, last=last)
        assert following is not None
        assert following.starts_at == last
        chain.append(following)
        last = following.ends_at

    usual = window_at(new, chain[0].starts_at)
    assert usual is not None
    assert chain[1:] == windows_until(new, chain[0].ends_at, last)
    assert length(chain[0]) * 2 >= min(length(usual), length(chain[1]))
    assert length(chain[0]) < length(usual) / 2 + max(length(usual), length(chain[0]))
    # whoever asks first, at whichever instant of it, opens the same period
    inside = chain[0].starts_at + length(chain[0]) * share // 1000
    assert joined(new, inside, last=chain[0].starts_at) == chain[0]


def test_a_stump_is_added_to_the_next_period() -> None:
    month = PeriodSpec("month", ZoneInfo("America/New_York"))
    ends = datetime(2026, 10, 31, 23, tzinfo=UTC)  # of October in Paris; there it is 19:00

    found = joined(month, ends, last=ends)

    assert found is not None
    assert bounds(found) == "2026-10-31T23:00 2026-12-01T05:00"


def test_periods_that_nobody_opened_are_not_made_up_for() -> None:
    day = PeriodSpec("day", PARIS)
    last = datetime(2026, 10, 1, 22, tzinfo=UTC)

    found = joined(day, datetime(2026, 10, 20, 12, tzinfo=UTC), last=last)

    assert found is not None
    assert bounds(found) == "2026-10-19T22:00 2026-10-20T22:00"


@pytest.mark.parametrize(
    ("spec", "at", "expected"),
    [
        (PeriodSpec("month", PARIS, year_month=4), "2026-03-15T00:00", "2025-03-31T22:00"),
        (PeriodSpec("month", PARIS, year_month=4), "2026-04-15T00:00", "2026-03-31T22:00"),
        (PeriodSpec("day", PARIS), "2026-01-01T12:00", "2025-12-31T23:00"),
        (PeriodSpec("year", PARIS), "2026-07-01T00:00", "2025-12-31T23:00"),
        (
            PeriodSpec("fiscal", ZoneInfo("UTC"), pattern="4-4-5", anchor=date(2026, 1, 5)),
            "2026-03-15T00:00",
            "2026-01-05T00:00",
        ),
        (
            PeriodSpec("custom", PARIS, starts_on=date(2026, 5, 1), ends_on=date(2026, 5, 11)),
            "2026-05-05T00:00",
            "2026-04-30T22:00",
        ),
    ],
)
def test_the_fiscal_year_of_a_period(spec: PeriodSpec, at: str, expected: str) -> None:
    assert f"{year_start(spec, window(spec, at)):%Y-%m-%dT%H:%M}" == expected


def test_a_joined_period_belongs_to_the_year_that_it_is_mostly_in() -> None:
    spec = PeriodSpec("month", ZoneInfo("America/New_York"))
    january = Window(
        datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 2, 1, 5, tzinfo=UTC)
    )  # joined to a December that ended in Paris

    assert year_start(spec, january) == january.starts_at


@settings(max_examples=200, deadline=None)
@given(specs, instants)
def test_a_fiscal_year_begins_with_or_before_its_periods(
    spec: PeriodSpec, instant: datetime
) -> None:
    found = window_at(spec, instant)
    assert found is not None

    began = year_start(spec, found)

    assert began <= found.starts_at
    assert found.starts_at - began < timedelta(days=372)
