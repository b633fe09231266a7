"""The state of a budget: one word, the worst thing that holds now."""

from decimal import Decimal

import pytest

from budgets.alerts import states
from budgets.alerts.states import Figures, Level

EIGHTY = Level("actual", "percent", Decimal(80))
COMING = Level("forecast", "percent", Decimal(100))
HIGH = Level("forecast", "usd", Decimal(120), "p90")


def figures(actual: str, **forecast: str) -> Figures:
    found = tuple((name, Decimal(value)) for name, value in forecast.items())
    return Figures(Decimal(100), Decimal(actual), found)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (figures("79.99"), "ok"),
        (figures("80"), "warning"),
        (figures("99.999999999999"), "warning"),
        (figures("100"), "alert"),
        (figures("100.01"), "alert"),
        (figures("10", p50="99.99"), "ok"),
        (figures("10", p50="100"), "warning"),
        (figures("10", p50="90", p90="120"), "warning"),
        (figures("10", p90="119"), "ok"),
    ],
)
def test_a_state_is_the_worst_thing_that_holds(now: Figures, state: str) -> None:
    assert states.judge([EIGHTY, COMING, HIGH], now, is_silent=False) == state


def test_a_silent_meter_is_worse_than_a_warning_and_better_than_a_used_up_limit() -> None:
    assert states.judge([EIGHTY], figures("90"), is_silent=True) == "no_data"
    assert states.judge([EIGHTY], figures("100"), is_silent=True) == "alert"


def test_a_burn_rate_warns() -> None:
    assert states.judge([], figures("1"), is_silent=False, is_burning=True) == "warning"


def test_what_is_charged_alone_knows_no_forecast() -> None:
    assert states.charged([EIGHTY, COMING], figures("10", p50="500")) == "ok"
    assert states.charged([EIGHTY, COMING], figures("85", p50="500")) == "warning"


def test_nothing_spent_is_fine_even_under_a_limit_of_nothing() -> None:
    nothing = Figures(Decimal(0), Decimal(0))

    assert states.judge([EIGHTY], nothing, is_silent=False) == "ok"
    assert states.judge([], Figures(Decimal(0), Decimal("0.01")), is_silent=False) == "alert"


def test_a_limit_of_1000_for_30_days_and_100_in_24_hours_is_a_factor_of_3() -> None:
    share = Decimal(24) / (30 * 24)

    factor = states.burn_factor(Decimal(100), limit=Decimal(1000), share=share)

    assert factor.quantize(Decimal("0.000000000001")) == 3
    assert states.burn_factor(Decimal(100), limit=Decimal(0), share=share) == 0
