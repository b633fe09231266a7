"""When a day is unusual, with the exact numbers of the books."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from attribution.insights.anomalies import Judgement, Limits, judge, median, runs

MONDAY = date(2026, 6, 1)
LIMITS = Limits()


def days(count: int, amount: Callable[[date], str]) -> dict[date, Decimal]:
    """Return that many days from a Monday on, with what each cost."""
    every = [MONDAY + timedelta(days=n) for n in range(count)]
    return {day: Decimal(amount(day)) for day in every}


def judged(history: dict[date, Decimal], limits: Limits = LIMITS) -> Judgement:
    """Judge the day after the history."""
    found = judge(history, max(history) + timedelta(days=1), limits)
    assert found is not None
    return found


def test_forty_to_two_hundred_is_an_anomaly_of_a_hundred_and_sixty() -> None:
    found = judged(days(21, lambda _day: "40"))

    assert (found.expected, found.limit) == (Decimal(40), Decimal(10))
    assert found.side(Decimal(200)) == 1
    assert Decimal(200) - found.expected == 160


def test_the_limit_is_the_largest_of_deviation_share_and_amount() -> None:
    assert LIMITS.beyond(Decimal(40), Decimal(2)) == 10  # 8.8956, 10 and 10
    assert LIMITS.beyond(Decimal(40), Decimal(3)) == Decimal("13.3434")
    assert LIMITS.beyond(Decimal(400), Decimal(2)) == 100
    assert LIMITS.beyond(Decimal(4), Decimal(0)) == 10


def test_a_difference_of_just_the_limit_is_usual() -> None:
    found = judged(days(21, lambda _day: "40"))

    assert [found.side(Decimal(amount)) for amount in ("29.99", "30", "50", "50.01")] == [
        *(-1, 0),
        *(0, 1),
    ]


def test_the_fourth_expensive_monday_is_usual() -> None:
    def cost(day: date) -> str:
        return "400" if day.weekday() == 0 else "50"

    third = judge(days(14, cost), MONDAY + timedelta(days=14), LIMITS)
    fourth = judge(days(21, cost), MONDAY + timedelta(days=21), LIMITS)

    assert third is not None
    assert fourth is not None
    assert (third.expected, third.side(Decimal(400))) == (Decimal(50), 1)
    assert (fourth.expected, fourth.side(Decimal(400))) == (Decimal(400), 0)
    assert fourth.side(Decimal(50)) == -1  # on a Monday that is little


def test_both_directions_count() -> None:
    assert judged(days(14, lambda _day: "100")).side(Decimal(500)) == 1
    assert judged(days(14, lambda _day: "500")).side(Decimal(100)) == -1


def test_thirteen_days_are_too_few_to_compare() -> None:
    assert judge(days(13, lambda _day: "40"), MONDAY + timedelta(days=13), LIMITS) is None
    assert judge(days(14, lambda _day: "40"), MONDAY + timedelta(days=14), LIMITS) is not None


def test_expected_days_left_out_no_longer_say_what_is_usual() -> None:
    def cost(day: date) -> str:
        return "400" if day.weekday() == 0 else "50"

    history = days(35, cost)
    without = {day: amount for day, amount in history.items() if amount < 400}

    assert judged(history).expected == 400
    assert judged(without, LIMITS).expected == 50


def test_the_references_are_the_days_whose_amounts_are_the_median() -> None:
    rising = {day: Decimal(n) for n, day in enumerate(days(28, lambda _day: "0"))}

    found = judged(rising)  # the Mondays cost 0, 7, 14 and 21

    assert found.expected == Decimal("10.5")
    assert dict(found.references) == {
        MONDAY + timedelta(days=7): Decimal("0.5"),
        MONDAY + timedelta(days=14): Decimal("0.5"),
    }


def test_runs_are_neighbours_on_the_same_side() -> None:
    assert list(runs([0, 1, 1, -1, 0, 1])) == [(1, 3, 1), (3, 4, -1), (5, 6, 1)]
    assert list(runs([])) == []
    assert list(runs([1])) == [(0, 1, 1)]


@given(st.lists(st.decimals(0, 10**6, places=12), min_size=14, max_size=80))
def test_the_references_weigh_out_the_expected_amount(amounts: list[Decimal]) -> None:
    history = {MONDAY + timedelta(days=n): amount for n, amount in enumerate(amounts)}

    found = judged(history)

    told = sum((history[day] * weight for day, weight in found.references.items()), Decimal(0))
    assert sum(found.references.values()) == 1
    assert abs(told - found.expected) <= Decimal("1e-12")
    assert min(amounts) <= median(amounts) <= max(amounts)
