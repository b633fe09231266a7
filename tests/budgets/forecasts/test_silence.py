"""A scope that normally spends and has no usage: a broken meter, told from a weekend."""

from datetime import date
from decimal import Decimal

import pytest

from budgets.forecasts import silence
from budgets.forecasts.methods import History

MONDAY = date(2026, 9, 7)


def fallen_silent(days: int, quiet: int, *, is_weekdays_only: bool = False) -> date | None:
    """Return what is found after `days` of spending, the last `quiet` without calls."""
    called = [
        number < days - quiet and not (is_weekdays_only and number % 7 > 4)
        for number in range(days)
    ]
    costs = tuple(Decimal(10) if is_called else Decimal(0) for is_called in called)
    return silence.since(History(MONDAY, costs), called)


def test_a_day_without_calls_after_weeks_with_them_is_silence() -> None:
    assert fallen_silent(30, 0) is None
    assert fallen_silent(30, 1) == date(2026, 10, 6)
    assert fallen_silent(30, 3) == date(2026, 10, 4)


def test_a_weekend_is_no_silence_where_people_rest() -> None:
    assert fallen_silent(28, 0, is_weekdays_only=True) is None  # through Sunday
    assert fallen_silent(29, 1, is_weekdays_only=True) == date(2026, 10, 5)  # a Monday


def test_silence_goes_on_over_a_weekend() -> None:
    friday = date(2026, 10, 2)

    assert fallen_silent(26, 1, is_weekdays_only=True) == friday
    assert fallen_silent(28, 3, is_weekdays_only=True) == friday


@pytest.mark.parametrize(("days", "quiet"), [(20, 2), (22, 2), (60, 29), (0, 0), (5, 5)])
def test_what_is_new_or_long_ended_is_not_missed(days: int, quiet: int) -> None:
    assert fallen_silent(days, quiet) is None
