"""From complete days to the figures of a period: what is expected, how sure, and when it is used up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from budgets.forecasts import backtest, methods
from budgets.forecasts.methods import SCALE, ZERO, History

DAY = timedelta(days=1)
FIGURES = ("low", "high", "mape", "coverage")


@dataclass(frozen=True, slots=True)
class Purchase:
    """A cost that is known beforehand (seats, a top-up): added on its day, never extrapolated."""

    day: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Outline:
    """What the complete days say of those from `first` to the period's end.

    `past` are the complete days of the period; `low` and `high` what to add to p50 for p10 and p90.
    """

    first: date
    method: str
    past: tuple[Decimal, ...]
    expected: tuple[Decimal, ...]
    low: Decimal | None = None
    high: Decimal | None = None
    mape: Decimal | None = None
    coverage: Decimal | None = None

    def as_json(self) -> dict[str, Any]:
        """Write it down, amounts as text."""
        return {
            "first": self.first.isoformat(),
            "method": self.method,
            "past": [f"{cost:f}" for cost in self.past],
            "expected": [f"{cost:f}" for cost in self.expected],
            **{
                name: None if value is None else f"{value:f}"
                for name in FIGURES
                for value in (getattr(self, name),)
            },
        }


@dataclass(frozen=True, slots=True)
class Ahead:
    """A day to come: what it is expected to cost, and the period's cost at its end."""

    day: date
    expected: Decimal
    cumulative: Decimal


@dataclass(frozen=True, slots=True)
class Projection:
    """The figures of a running period; without a method there is no number."""

    p10: Decimal | None
    p50: Decimal | None
    p90: Decimal | None
    exhausted_on: date | None
    ahead: tuple[Ahead, ...] = ()


def read(written: Mapping[str, Any]) -> Outline:
    """Return an outline that was written down."""
    figures = {name: written.get(name) for name in FIGURES}
    return Outline(
        date.fromisoformat(written["first"]),
        written["method"],
        tuple(Decimal(cost) for cost in written["past"]),
        tuple(Decimal(cost) for cost in written["expected"]),
        **{name: None if value is None else Decimal(value) for name, value in figures.items()},
    )


def outline(history: History, *, opens: date, ends: date) -> Outline:
    """Return the outline of a period [opens, ends) from the history before today, its end."""
    first = max(history.end, opens)
    horizon = (ends - first).days
    past = history.costs[max(0, (opens - history.first).days) :]
    method, found = backtest.choose(history.costs, horizon)
    if not method:
        return Outline(first, "", past, ())
    low, high = backtest.interval(found, horizon) or (None, None)
    exact = backtest.accuracy(found, days=len(history.costs), horizon=horizon)
    return Outline(
        first,
        method,
        past,
        methods.expect(method, history.costs, horizon),
        low=_rounded(low),
        high=_rounded(high),
        mape=exact.mape,
        coverage=exact.coverage,
    )


def project(
    known: Outline, *, actual: Decimal, limit: Decimal, purchases: Iterable[Purchase] = ()
) -> Projection:
    """Return p10, p50, p90 and the day on which p50 reaches the limit.

    `actual` is what the period is charged now. What it is above the complete days is today's, which
    costs at least what is expected of it. p10 and p90 enclose p50 and what is charged already.
    """
    complete = min(sum(known.past, start=ZERO), actual)
    if not known.expected:
        return Projection(None, None, None, _reached(known, limit, actual, ()))
    costs = list(known.expected)
    costs[0] = max(costs[0], actual - complete)
    bought = _by_day(purchases, known.first, len(costs))
    ahead: list[Ahead] = []
    cumulative = complete
    for number, cost in enumerate(costs):
        expected = cost + bought[number]
        cumulative += expected
        ahead.append(Ahead(known.first + number * DAY, expected, cumulative))
    low, high = _bounds(known, cumulative, actual)
    return Projection(low, cumulative, high, _reached(known, limit, actual, ahead), tuple(ahead))


def _bounds(known: Outline, p50: Decimal, actual: Decimal) -> tuple[Decimal | None, Decimal | None]:
    if known.low is None or known.high is None:
        return None, None
    return max(actual, min(p50, p50 + known.low)), max(p50, p50 + known.high)


def _reached(
    known: Outline, limit: Decimal, actual: Decimal, ahead: Sequence[Ahead]
) -> date | None:
    """Return the first day at whose end the period costs its limit or more."""
    opens = known.first - len(known.past) * DAY
    cumulative = ZERO
    for number, cost in enumerate(known.past):
        cumulative += cost
        if min(cumulative, actual) >= limit:
            return opens + number * DAY
    if actual >= limit:
        return known.first
    return next((step.day for step in ahead if step.cumulative >= limit), None)


def _by_day(purchases: Iterable[Purchase], first: date, days: int) -> list[Decimal]:
    amounts = [ZERO] * days
    for purchase in purchases:
        number = (purchase.day - first).days
        if 0 <= number < days:
            amounts[number] += purchase.amount
    return amounts


def _rounded(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(SCALE, ROUND_HALF_EVEN)
