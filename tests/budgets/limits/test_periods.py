"""Every instant lies in exactly one window of a budget, whatever the zone does to its clocks."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution import calendar
from budgets.limits.periods import (
    PeriodError,
    PeriodSpec,
    Window,
    next_window,
    spec_of,
    window_at,
    windows_until,
)

ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "America/Asuncion",
    "America/Havana",
    "America/Los_Angeles",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Dublin",
    "Europe/London",
    "Europe/Moscow",
    "Europe/Paris",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "UTC",
]
PARIS = ZoneInfo("Europe/Paris")
MOMENT = timedelta(microseconds=1)

kinds = st.sampled_from(["day", "week", "month", "quarter", "year", "fiscal"])
specs = st.one_of(
    st.builds(
        PeriodSpec,
        kinds,
        st.sampled_from(ZONES).map(ZoneInfo),
        start_month=st.integers(1, 12),
        week_start=st.integers(0, 6),
    ),
    st.builds(
        PeriodSpec,
        st.just("fiscal"),
        st.sampled_from(ZONES).map(ZoneInfo),
        pattern=st.sampled_from(["4-4-5", "4-5-4", "5-4-4"]),
        anchor=st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    ),
)
instants = st.datetimes(datetime(1995, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive limits


def window(spec: PeriodSpec, at: str) -> Window:
    found = window_at(spec, datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert found is not None
    return found


def bounds(found: Window) -> str:
    return f"{found.starts_at:%Y-%m-%dT%H:%M} {found.ends_at:%Y-%m-%dT%H:%M}"


@settings(max_examples=400, deadline=None)
@given(specs, instants)
def test_every_instant_is_in_exactly_one_window(spec: PeriodSpec, instant: datetime) -> None:
    found = window_at(spec, instant)

    assert found is not None
    assert found.starts_at <= instant < found.ends_at
    assert window_at(spec, found.starts_at) == found
    assert window_at(spec, found.ends_at - timedelta(microseconds=1)) == found
    following = next_window(spec, found)
    assert following is not None
    assert following.starts_at == found.ends_at


@pytest.mark.parametrize("zone", ZONES)
def test_the_days_of_eleven_years_join_without_gap_or_overlap(zone: str) -> None:
    spec = PeriodSpec("day", ZoneInfo(zone))
    found = window(spec, "2011-01-01T00:00")
    end = datetime(2026, 1, 1, tzinfo=UTC)
    count = 0

    while found.ends_at < end:
        length = found.ends_at - found.starts_at
        assert timedelta(hours=21) <= length <= timedelta(hours=26)
        following = next_window(spec, found)
        assert following is not None
        assert following.starts_at == found.ends_at
        found = following
        count += 1

    assert count in {5477, 5478, 5479}  # Apia has no 30 December 2011


@pytest.mark.parametrize(
    ("spec", "at", "expected"),
    [
        (PeriodSpec("day", PARIS), "2026-03-29T12:00", "2026-03-28T23:00 2026-03-29T22:00"),
        (PeriodSpec("week", PARIS), "2026-11-22T12:00", "2026-11-15T23:00 2026-11-22T23:00"),
        (
            PeriodSpec("week", PARIS, week_start=6),
            "2026-11-22T12:00",
            "2026-11-21T23:00 2026-11-28T23:00",
        ),
        (PeriodSpec("month", PARIS), "2026-10-05T12:00", "2026-09-30T22:00 2026-10-31T23:00"),
        (PeriodSpec("quarter", PARIS), "2026-11-05T12:00", "2026-09-30T22:00 2026-12-31T23:00"),
        (
            PeriodSpec("quarter", PARIS, start_month=2),
            "2027-01-05T12:00",
            "2026-10-31T23:00 2027-01-31T23:00",
        ),
        (PeriodSpec("year", PARIS), "2026-10-05T12:00", "2025-12-31T23:00 2026-12-31T23:00"),
        (
            PeriodSpec("fiscal", PARIS, start_month=4),
            "2026-03-31T12:00",
            "2025-03-31T22:00 2026-03-31T22:00",
        ),
        (
            PeriodSpec("fiscal", ZoneInfo("UTC"), pattern="4-4-5", anchor=date(2026, 1, 5)),
            "2026-03-02T00:00",
            "2026-03-02T00:00 2026-04-06T00:00",
        ),
        (
            PeriodSpec("day", ZoneInfo("America/Asuncion")),
            "2017-10-01T12:00",
            "2017-10-01T04:00 2017-10-02T03:00",
        ),
        (
            PeriodSpec("day", ZoneInfo("Africa/Cairo")),
            "2024-04-26T12:00",
            "2024-04-25T22:00 2024-04-26T21:00",
        ),
    ],
)
def test_windows_by_the_clock_on_the_wall(spec: PeriodSpec, at: str, expected: str) -> None:
    assert bounds(window(spec, at)) == expected


def test_a_custom_period_is_one_window_and_none_outside() -> None:
    spec = PeriodSpec("custom", PARIS, starts_on=date(2026, 5, 1), ends_on=date(2026, 5, 11))

    found = window(spec, "2026-05-10T21:59")

    assert bounds(found) == "2026-04-30T22:00 2026-05-10T22:00"
    assert next_window(spec, found) is None
    assert window_at(spec, found.starts_at - timedelta(microseconds=1)) is None


def test_a_period_without_its_dates_is_refused() -> None:
    with pytest.raises(PeriodError):
        PeriodSpec("custom", PARIS, starts_on=date(2026, 5, 1), ends_on=date(2026, 5, 1))
    with pytest.raises(PeriodError):
        PeriodSpec("fiscal", PARIS, pattern="4-4-5")
    with pytest.raises(PeriodError):
        PeriodSpec("fortnight", PARIS)
    with pytest.raises(PeriodError):
        PeriodSpec("quarter", PARIS, start_month=13)


def test_a_budgets_columns_are_read_as_its_period() -> None:
    weeks = spec_of(
        "fiscal", {"pattern": "4-4-5", "anchor": "2026-01-05"}, zone="UTC", fiscal_start_month=4
    )
    custom = spec_of("custom", {"starts_on": "2026-05-01", "ends_on": "2026-05-11"}, zone="UTC")

    assert (weeks.pattern, weeks.anchor) == ("4-4-5", date(2026, 1, 5))
    assert (custom.starts_on, custom.ends_on) == (date(2026, 5, 1), date(2026, 5, 11))
    assert spec_of("fiscal", {}, zone="UTC", fiscal_start_month=4).start_month == 4
    assert spec_of("year", {}, zone="UTC", fiscal_start_month=4).start_month == 1
    assert spec_of("quarter", {"start_month": 2}, zone="Europe/Paris").zone.key == "Europe/Paris"


def test_the_windows_of_the_next_days_follow_each_other() -> None:
    start = datetime(2026, 10, 24, 12, tzinfo=UTC)

    days = windows_until(PeriodSpec("day", PARIS), start, start + timedelta(hours=48))

    assert [f"{day.starts_at:%m-%dT%H}" for day in days] == ["10-23T22", "10-24T22", "10-25T23"]
    custom = PeriodSpec("custom", PARIS, starts_on=date(2026, 5, 1), ends_on=date(2026, 5, 2))
    assert windows_until(custom, start, start + timedelta(days=400)) == []


FINANCE_MONTHS = [
    ("Europe/Paris", "2026-09-30T22:00 2026-10-31T23:00"),
    ("Asia/Shanghai", "2026-09-30T16:00 2026-10-31T16:00"),
]


@pytest.mark.parametrize(("zone", "expected"), FINANCE_MONTHS)
def test_october_begins_at_local_midnight(zone: str, expected: str) -> None:
    assert bounds(window(PeriodSpec("month", ZoneInfo(zone)), "2026-10-15T00:00")) == expected


def test_the_first_quarter_of_a_4_4_5_year() -> None:
    spec = PeriodSpec("fiscal", ZoneInfo("UTC"), pattern="4-4-5", anchor=date(2026, 1, 5))

    found = windows_until(spec, datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 4, 6, tzinfo=UTC))

    assert [f"{one.ends_at:%Y-%m-%d}" for one in found] == [
        "2026-02-02",
        "2026-03-02",
        "2026-04-06",
    ]


edges = st.one_of(
    st.builds(  # the first and the last day of a month, 29 February among them
        lambda year, month, is_first: (
            date(year + month // 12, month % 12 + 1, 1) - timedelta(days=0 if is_first else 1)
        ),
        st.integers(1996, 2040),
        st.integers(0, 12),
        st.booleans(),
    ),
    st.dates(date(1995, 1, 2), date(2040, 1, 1)),
)


@settings(max_examples=300, deadline=None)
@given(specs, edges, st.integers(-7200, 7200), st.sampled_from([0, 1, -1]))
def test_instants_around_midnights_are_in_exactly_one_window(
    spec: PeriodSpec, day: date, seconds: int, microseconds: int
) -> None:
    midnight = calendar.day_start(day, spec.zone)
    instant = midnight + timedelta(seconds=seconds, microseconds=microseconds)

    found = window_at(spec, instant)

    assert found is not None
    before, after = window_at(spec, found.starts_at - MOMENT), next_window(spec, found)
    assert before is not None
    assert after is not None
    assert [one.starts_at <= instant < one.ends_at for one in (before, found, after)] == [
        *(False, True, False)
    ]
    assert (before.ends_at, found.ends_at) == (found.starts_at, after.starts_at)
    if spec.kind == "day":
        assert window_at(spec, midnight) == Window(
            midnight, calendar.day_start(day + timedelta(days=1), spec.zone)
        )


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", ["week", "month", "quarter", "year", "fiscal"])
def test_windows_of_thirteen_years_join_without_gap_or_overlap(zone: str, kind: str) -> None:
    spec = PeriodSpec(kind, ZoneInfo(zone), start_month=2)

    found = windows_until(spec, datetime(2016, 2, 29, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC))

    assert all(one.ends_at == two.starts_at for one, two in pairwise(found))
    assert all(
        calendar.local_day(one.starts_at, spec.zone) < calendar.local_day(one.ends_at, spec.zone)
        for one in found
    )
