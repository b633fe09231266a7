"""Days and hours of a zone: what is compared with what, also where clocks are put forward and back."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.insights.series import Bucket, Grid

ZONES = (
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Africa/Cairo",
    "Asia/Beirut",
)


def hours(zone: str) -> Grid:
    """Return the hours of a zone."""
    return Grid("hour", ZoneInfo(zone))


def at(text: str) -> datetime:
    """Return an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["day", "hour"]),
    st.integers(1_420_000_000, 1_890_000_000).map(lambda n: datetime.fromtimestamp(n, UTC)),
)
def test_every_instant_is_in_one_bucket_and_buckets_join(
    zone: str, granularity: str, instant: datetime
) -> None:
    grid = Grid(granularity, ZoneInfo(zone))

    found = grid.last(instant, 4)

    assert found[-1].starts_at <= instant < found[-1].ends_at
    assert all(one.ends_at == following.starts_at for one, following in pairwise(found))
    assert grid.between(found[0].starts_at, found[-1].ends_at) == found


def test_an_hour_that_a_day_lacks_is_not_compared_with() -> None:
    grid = hours("Europe/Paris")
    half_past_two = grid.holding(at("2026-04-05T00:30"))  # 02:30 in summer

    like = grid.before(half_past_two, 14)

    assert date(2026, 3, 29) not in like  # from 02:00 to 03:00 clocks were put forward
    assert like[date(2026, 3, 28)].starts_at == at("2026-03-28T01:00")
    assert like[date(2026, 4, 4)].starts_at == at("2026-04-04T00:00")


def test_an_hour_that_comes_twice_is_two_hours() -> None:
    grid = hours("Europe/Paris")
    first, second = (grid.holding(at(text)) for text in ("2026-10-25T00:30", "2026-10-25T01:30"))

    assert first.ends_at == second.starts_at
    assert first.day == second.day
    assert grid.before(first, 7).keys() == grid.before(second, 7).keys()


def test_a_day_is_compared_with_days_however_long_they_are() -> None:
    grid = Grid("day", ZoneInfo("Europe/Paris"))
    monday = grid.holding(at("2026-10-26T12:00"))

    like = grid.before(monday, 3)

    longest = like[date(2026, 10, 25)]
    assert longest.ends_at - longest.starts_at == timedelta(hours=25)
    assert list(like) == [date(2026, 10, 23), date(2026, 10, 24), date(2026, 10, 25)]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu"])
def test_rollups_of_parts_of_an_hour_belong_to_the_local_hour(zone: str) -> None:
    grid = hours(zone)
    bucket = grid.holding(at("2026-06-01T12:00"))

    names = grid.names(bucket)

    assert {grid.start(name) for name in names} == {bucket.starts_at}
    assert bucket.starts_at.astimezone(grid.zone).minute == 0


def test_a_day_of_the_rollups_is_named_by_its_date() -> None:
    grid = Grid("day", ZoneInfo("Asia/Shanghai"))
    bucket = grid.holding(at("2026-06-01T20:00"))

    assert bucket == Bucket(at("2026-06-01T16:00"), at("2026-06-02T16:00"), date(2026, 6, 2))
    assert grid.names(bucket) == [at("2026-06-02T00:00")]
    assert grid.start(at("2026-06-02T00:00")) == bucket.starts_at
