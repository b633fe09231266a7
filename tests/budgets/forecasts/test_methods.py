"""The ladder of methods, with FINANCE's numbers to the last digit."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from budgets.forecasts import methods, projection
from budgets.forecasts.methods import History
from budgets.forecasts.projection import Outline, Projection, Purchase

TEN = Decimal(10)
THOUSAND = Decimal(1000)


def weekdays(first: date, days: int, cost: Decimal = TEN) -> tuple[Decimal, ...]:
    """Return the cost of days on which only weekdays cost something."""
    each = (first + timedelta(days=number) for number in range(days))
    return tuple(cost if day.weekday() < 5 else Decimal(0) for day in each)


def forecast(
    history: History, opens: date, ends: date, **more: object
) -> tuple[Outline, Projection]:
    """Forecast a period at the beginning of the day after the last complete one."""
    known = projection.outline(history, opens=opens, ends=ends)
    actual = sum(known.past, start=Decimal(0))
    values: dict[str, object] = {"actual": actual, "limit": THOUSAND, **more}
    return known, projection.project(known, **values)  # type: ignore[arg-type]  # spelled by name above


@pytest.mark.parametrize(
    ("days", "method"),
    [
        *((0, ""), (2, ""), (3, "run_rate"), (13, "run_rate"), (14, "weekday")),
        *((59, "weekday"), (60, "holt_winters"), (400, "holt_winters")),
    ],
)
def test_the_method_depends_on_the_complete_days(days: int, method: str) -> None:
    assert methods.ladder(days) == method


def test_two_complete_days_give_no_number() -> None:
    known, found = forecast(
        History(date(2026, 11, 1), (TEN, TEN)), date(2026, 11, 1), date(2026, 12, 1)
    )

    assert known.method == ""
    assert (found.p10, found.p50, found.p90, found.exhausted_on) == (None, None, None, None)


def test_ten_dollars_a_day_are_300_in_a_month_of_30_days() -> None:
    known, found = forecast(
        History(date(2026, 11, 1), (TEN,) * 10), date(2026, 11, 1), date(2026, 12, 1)
    )

    assert known.method == "run_rate"
    assert found.p50 == 300


def test_weekdays_only_are_220_where_the_run_rate_would_say_232_50() -> None:
    costs = weekdays(date(2026, 10, 1), 16)
    known, found = forecast(History(date(2026, 10, 1), costs), date(2026, 10, 1), date(2026, 11, 1))

    assert known.method == "weekday"
    assert found.p50 == 220
    by_run_rate = sum(methods.expect("run_rate", costs, 15), start=sum(costs))
    assert by_run_rate == Decimal("232.50")


def test_a_thousand_days_of_one_cost_are_forecast_exactly() -> None:
    history = History(date(2026, 1, 1), (TEN,) * 90)
    known, found = forecast(history, date(2026, 4, 1), date(2026, 5, 1))

    assert known.method == "holt_winters"
    assert (found.p10, found.p50, found.p90) == (Decimal(300),) * 3


def test_holt_winters_follows_a_week_that_grows() -> None:
    first = date(2026, 1, 5)
    costs = [
        cost * (100 + number) / 100 for number, cost in enumerate(weekdays(first, 120, Decimal(50)))
    ]

    expected = methods.expect("holt_winters", costs, 7)

    assert all(day > 100 for day in expected[:3])  # day 120 is a Tuesday
    assert all(0 <= day < 20 for day in expected[4:6])


def test_no_day_is_expected_below_nothing() -> None:
    costs = [Decimal(60 - number) for number in range(60)] + [Decimal(0)] * 5

    assert min(methods.expect("holt_winters", costs, 30)) >= 0


def test_today_costs_what_was_spent_or_what_is_expected_whichever_is_more() -> None:
    history = History(date(2026, 11, 1), (TEN,) * 10)
    known = projection.outline(history, opens=date(2026, 11, 1), ends=date(2026, 12, 1))

    quiet = projection.project(known, actual=Decimal(104), limit=THOUSAND)
    busy = projection.project(known, actual=Decimal(125), limit=THOUSAND)

    assert quiet.p50 == 300
    assert busy.p50 == 100 + 25 + 190


def test_a_scheduled_purchase_is_added_on_its_day_and_not_extrapolated() -> None:
    seats = [
        Purchase(date(2026, 11, 15), Decimal(500)),
        Purchase(date(2026, 12, 15), Decimal(500)),
    ]
    history = History(date(2026, 11, 1), (TEN,) * 10)
    _, found = forecast(
        history, date(2026, 11, 1), date(2026, 12, 1), purchases=seats, limit=Decimal(600)
    )

    assert found.p50 == 800
    assert found.exhausted_on == date(2026, 11, 15)


@pytest.mark.parametrize(
    ("limit", "day"),
    [
        ("300", date(2026, 11, 30)),
        ("300.01", None),
        ("110", date(2026, 11, 11)),
        ("100", date(2026, 11, 10)),
        ("95", date(2026, 11, 10)),
    ],
)
def test_the_limit_is_reached_on_the_first_day_that_brings_it(limit: str, day: date | None) -> None:
    history = History(date(2026, 11, 1), (TEN,) * 10)
    _, found = forecast(history, date(2026, 11, 1), date(2026, 12, 1), limit=Decimal(limit))

    assert found.exhausted_on == day


def test_a_period_counts_its_own_days_and_learns_from_all() -> None:
    history = History(date(2026, 10, 1), (TEN,) * 35)
    known, found = forecast(history, date(2026, 11, 1), date(2026, 12, 1))

    assert len(known.past) == 4
    assert (known.method, found.p50) == ("weekday", Decimal(300))


def test_the_median_is_of_the_last_eight_weeks() -> None:
    old, new = (Decimal(1),) * 7 * 8, (Decimal(5),) * 7 * 8

    assert methods.weekday_medians([*old, *new], 112) == [Decimal(5)] * 7
    assert methods.median([Decimal(1), Decimal(4)]) == Decimal("2.5")
