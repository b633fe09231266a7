"""Intervals and accuracy come from what forecasts of the past got wrong."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from budgets.forecasts import backtest, methods, projection
from budgets.forecasts.methods import History


def spending(seed: int, days: int, *, growth: str = "0", noise: int = 30) -> tuple[Decimal, ...]:
    """Return the cost of days as companies have them: weekdays, growth, noise, now and then a burst."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    costs = []
    for number in range(days):
        day = date(2026, 1, 5) + timedelta(days=number)
        base = Decimal(100) if day.weekday() < 5 else Decimal(20)
        factor = Decimal(100 + chance.randint(-noise, noise)) / 100
        burst = Decimal(3) if chance.random() < 0.02 else Decimal(1)
        costs.append(base * factor * burst * (1 + Decimal(growth) * number))
    return tuple(costs)


def covered(
    series: Callable[[int, int], tuple[Decimal, ...]], *, days: int, horizon: int
) -> Decimal:
    """Return in which share of many series the truth lay between p10 and p90."""
    hits = []
    for seed in range(40):
        costs = series(seed, days + horizon)
        first = date(2026, 1, 5)
        opens = first + timedelta(days=days)
        known = projection.outline(
            History(first, costs[:days]), opens=opens, ends=opens + timedelta(days=horizon)
        )
        found = projection.project(known, actual=Decimal(0), limit=Decimal(1))
        assert found.p10 is not None
        assert found.p90 is not None
        hits.append(found.p10 <= sum(costs[days:]) <= found.p90)
    return Decimal(sum(hits)) / len(hits)


def test_three_of_four_truths_lie_between_p10_and_p90() -> None:
    fixture = [(45, 10), (90, 20), (120, 15), (150, 30), (200, 10)]

    shares = [covered(spending, days=days, horizon=horizon) for days, horizon in fixture]

    assert sum(shares) / len(shares) >= Decimal("0.75")
    assert min(shares) >= Decimal("0.65")


def test_the_coverage_shown_is_that_of_intervals_drawn_at_the_time() -> None:
    shown = []
    for seed in range(12):
        costs = spending(seed, 150)
        known = projection.outline(
            History(date(2026, 1, 5), costs), opens=date(2026, 6, 1), ends=date(2026, 6, 16)
        )
        assert known.coverage is not None
        assert known.mape is not None
        assert known.mape < Decimal("0.15")
        shown.append(known.coverage)

    assert sum(shown) / len(shown) >= Decimal("0.75")


def test_fewer_than_eight_errors_give_no_interval() -> None:
    costs = spending(1, 36)

    seven = backtest.trials("weekday", costs, 16)
    eight = backtest.trials("weekday", costs, 15)

    assert (len(seven), len(eight)) == (7, 8)
    assert backtest.interval(seven, 16) is None
    assert backtest.interval(eight, 15) is not None


def test_p10_is_never_below_what_is_charged_already() -> None:
    costs = spending(2, 101)
    opens = date(2026, 1, 5) + timedelta(days=101)
    known = projection.outline(
        History(date(2026, 1, 5), costs), opens=opens, ends=opens + timedelta(days=3)
    )

    last = replace(known, expected=known.expected[:1])

    found = projection.project(last, actual=Decimal(5000), limit=Decimal(1))

    assert last.low is not None
    assert last.low < 0
    assert found.p10 == found.p50 == Decimal(5000)
    assert found.p90 is not None
    assert found.p90 > 5000


def test_the_weekday_method_is_used_and_named_where_holt_winters_errs_more() -> None:
    quiet = [Decimal(10) if number % 7 < 5 else Decimal(0) for number in range(80)]
    bursts = [
        Decimal(400) if number % 23 == 22 else cost for number, cost in enumerate(quiet)
    ]  # a median shrugs at what throws a level off

    assert backtest.choose(bursts, 10)[0] == "weekday"
    assert backtest.choose(quiet, 10)[0] == "holt_winters"
    known = projection.outline(
        History(date(2026, 1, 5), tuple(bursts)), opens=date(2026, 3, 26), ends=date(2026, 4, 5)
    )
    assert known.method == "weekday"


def test_no_trial_knows_a_later_day() -> None:
    costs = list(spending(3, 90))
    changed = [*costs[:80], *[Decimal(9999)] * 10]

    for method in methods.FROM:
        before = {t.origin: t.expected for t in backtest.trials(method, costs, 10)}
        after = {t.origin: t.expected for t in backtest.trials(method, changed, 10)}
        assert before == after


def test_a_backtest_says_the_same_twice() -> None:
    history = History(date(2026, 1, 5), spending(4, 130))

    first, second = (
        projection.outline(history, opens=date(2026, 5, 1), ends=date(2026, 6, 1)) for _ in range(2)
    )

    assert first == second


def test_a_quantile_lies_between_its_neighbours() -> None:
    values = [Decimal(number) for number in (4, 1, 3, 2, 9, 8, 7, 6, 5)]

    assert backtest.quantile(values, Decimal("0.1")) == 1
    assert backtest.quantile(values, Decimal("0.25")) == Decimal("2.5")
    assert backtest.quantile(values, Decimal("0.9")) == 9
