"""Days that lack a midnight, fiscal years of months and of weeks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attribution import calendar


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("America/Asuncion", date(2017, 10, 1), "2017-10-01T04:00"),  # 00:00 jumps to 01:00
        ("Africa/Cairo", date(2024, 4, 26), "2024-04-25T22:00"),  # 00:00 jumps to 01:00
        ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30"),  # 23:30 jumps to 00:30
        ("America/Havana", date(2024, 11, 3), "2024-11-03T04:00"),  # midnight comes twice
        ("America/St_Johns", date(2006, 10, 29), "2006-10-29T02:30"),  # back to 23:01 at 00:01
        ("Europe/Paris", date(2026, 10, 1), "2026-09-30T22:00"),
        ("Asia/Shanghai", date(2026, 11, 1), "2026-10-31T16:00"),
    ],
)
def test_a_day_starts_at_the_first_existing_instant_at_or_after_midnight(
    zone: str, day: date, expected: str
) -> None:
    start = calendar.day_start(day, ZoneInfo(zone))

    assert start == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_day_that_never_was_is_empty() -> None:
    apia = ZoneInfo("Pacific/Apia")

    first, end = calendar.bounds(date(2011, 12, 30), date(2011, 12, 31), apia)

    assert first == end == datetime(2011, 12, 30, 10, tzinfo=UTC)


def test_october_2026_in_two_zones() -> None:
    paris = calendar.month_bounds(date(2026, 10, 15), ZoneInfo("Europe/Paris"))
    shanghai = calendar.month_bounds(date(2026, 10, 15), ZoneInfo("Asia/Shanghai"))

    assert [f"{at:%m-%dT%H}" for at in (*paris, *shanghai)] == [
        "09-30T22",
        "10-31T23",
        "09-30T16",
        "10-31T16",
    ]


def test_months_add_over_year_ends() -> None:
    assert calendar.add_months(date(2026, 11, 30), 3) == date(2027, 2, 1)
    assert calendar.add_months(date(2026, 1, 1), -1) == date(2025, 12, 1)
    assert calendar.fiscal_year_start(date(2026, 3, 31), 4) == date(2025, 4, 1)
    assert calendar.span_start(date(2026, 3, 31), 2, months=3) == date(2026, 2, 1)


def test_four_four_five_gives_the_finance_book_example() -> None:
    year = calendar.WeekYear("4-4-5", date(2026, 1, 5))

    periods = year.periods(date(2026, 1, 5))

    assert periods[:4] == [date(2026, 1, 5), date(2026, 2, 2), date(2026, 3, 2), date(2026, 4, 6)]


def test_a_fifty_third_week_joins_the_last_period() -> None:
    year = calendar.WeekYear("4-4-5", date(2026, 1, 5))

    lengths = {
        (b - a).days
        for start in range(2020, 2050)
        for a, b in [year.periods(date(start, 6, 1))[-2:]]
    }

    assert lengths == {35, 42}


@settings(max_examples=200, deadline=None)
@example(date(2001, 12, 1), "4-4-5", date(2015, 12, 30))  # that year begins on 2 January
@given(
    st.dates(date(1971, 1, 1), date(2199, 12, 31)),
    st.sampled_from(sorted(calendar.WEEKS)),
    st.dates(date(2015, 1, 1), date(2030, 12, 31)),
)
def test_every_day_is_in_exactly_one_period_of_weeks(day: date, pattern: str, anchor: date) -> None:
    year = calendar.WeekYear(pattern, anchor)

    first, end = year.period(day)

    assert first <= day < end
    assert year.period(end - timedelta(days=1)) == (first, end)
    assert year.period(end)[0] == end
    assert first.weekday() == anchor.weekday()
    assert year.period(anchor)[0] == anchor
