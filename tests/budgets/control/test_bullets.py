"""Bullet bars: nothing leaves its track, and what passes the limit is seen past it."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from budgets.control.bullets import Bullet

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=12)
PERCENT = Decimal(100)


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_no_part_of_a_bar_leaves_its_track(
    limit: Decimal, spent: Decimal, held: Decimal, uncertain: Decimal, low: Decimal, wide: Decimal
) -> None:
    bar = Bullet(limit, spent, held, uncertain, (limit,), low, low, low + wide)

    for start, width in (
        ("0%", bar.spent_width),
        (bar.held_start, bar.held_width),
        (bar.uncertain_start, bar.uncertain_width),
        (bar.low_start, bar.interval_width),
        ("0%", bar.track_width),
        (bar.marker, "0%"),
    ):
        assert 0 <= places(start) <= PERCENT
        assert 0 <= places(start) + places(width) <= PERCENT


def test_a_forecast_past_the_limit_leaves_room_behind_the_limit() -> None:
    bar = Bullet(Decimal(100), Decimal(80), thresholds=(Decimal(90),), expected=Decimal(150))

    assert bar.is_passed
    assert places(bar.track_width) < places(bar.marker) < PERCENT
    assert bar.ticks == ["58.82%"]


def test_within_the_limit_the_track_is_the_limit() -> None:
    bar = Bullet(Decimal(100), Decimal(25), held=Decimal(10), expected=Decimal(60))

    assert (bar.track_width, bar.spent_width, bar.held_start) == ("100.00%", "25.00%", "25.00%")
    assert not bar.is_passed


def test_a_refund_draws_nothing_and_a_limit_of_nothing_is_full() -> None:
    assert Bullet(Decimal(100), Decimal(-5)).spent_width == "0.00%"
    assert Bullet(Decimal(0), Decimal(0)).spent_width == "0.00%"
    assert Bullet(Decimal(0), Decimal(1)).marker == ""


def places(text: str) -> Decimal:
    return Decimal(text.removesuffix("%"))
