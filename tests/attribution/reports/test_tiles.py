"""Tiles cover every range once, whatever its bounds, zone and intervals."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from attribution import calendar
from attribution.ledger.models import Grain
from attribution.reports import tiles
from attribution.reports.filters import Range, Span
from attribution.reports.tiles import Tile

ZONES = (
    *("UTC", "Asia/Kolkata", "America/New_York", "Africa/Cairo", "Asia/Beirut"),
    *("Australia/Lord_Howe", "Pacific/Apia", "America/Santiago"),
)
DATES = st.dates(date(2023, 1, 1), date(2027, 12, 31))


def day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time.min, UTC)


def real(tile: Tile, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants between which the calls of a tile lie."""
    if tile.grain == Grain.HOUR:
        return tile.first, tile.end
    return calendar.day_start(tile.first.date(), zone), calendar.day_start(tile.end.date(), zone)


@given(DATES, st.integers(1, 400), st.sampled_from(ZONES), st.sampled_from(Grain))
def test_days_are_covered_once(first: date, count: int, name: str, finest: Grain) -> None:
    zone = ZoneInfo(name)
    chosen = Range("custom", first, first + timedelta(days=count), zone)

    found = sorted(real(tile, zone) for tile in tiles.cover(chosen, finest=finest))

    assert (found[0][0], found[-1][1]) == (chosen.starts_at, chosen.ends_at)
    assert all(before[1] == after[0] for before, after in pairwise(found))


@given(
    DATES,
    st.integers(0, 23),
    st.integers(1, 2000),
    st.sampled_from(ZONES),
    st.sampled_from(Grain),
)
def test_hours_are_covered_once(on: date, hour: int, hours: int, name: str, finest: Grain) -> None:
    zone = ZoneInfo(name)
    starts = datetime.combine(on, time(hour), UTC)
    ends = starts + timedelta(hours=hours)
    first, last = (calendar.local_day(instant, zone) for instant in (starts, ends))
    chosen = Span("custom", first, last + timedelta(days=1), zone, starts, ends)

    found = sorted(real(tile, zone) for tile in tiles.cover(chosen, finest=finest))

    assert (found[0][0], found[-1][1]) == (starts, ends)
    assert all(before[1] == after[0] for before, after in pairwise(found))


def test_a_year_reads_months_and_the_days_at_its_edges() -> None:
    chosen = Range("custom", date(2025, 11, 20), date(2026, 11, 20), ZoneInfo("Europe/Paris"))

    assert tiles.cover(chosen) == (
        Tile(Grain.MONTH, day("2025-12-01"), day("2026-11-01")),
        Tile(Grain.DAY, day("2025-11-20"), day("2025-12-01")),
        Tile(Grain.DAY, day("2026-11-01"), day("2026-11-20")),
    )
    assert {tile.grain for tile in tiles.cover(chosen, finest=Grain.DAY)} == {Grain.DAY}
    assert {tile.grain for tile in tiles.cover(chosen, finest=Grain.HOUR)} == {Grain.HOUR}
