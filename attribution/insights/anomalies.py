"""When a day or an hour is unusual: compared with the same weekday before, or with all days."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from attribution import money

LEAST_DAYS = 14  # before that nothing is compared
LEAST_ALIKE = 3  # so many days of the same weekday say what that weekday costs
TO_SIGMA = Decimal("1.4826")  # a median absolute deviation times this is a standard deviation
ZERO, HALF = Decimal(0), Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Limits:
    """How far from the expected is unusual: the largest of the three counts."""

    deviation: Decimal = Decimal(3)
    share: Decimal = Decimal("0.25")
    least: Decimal = Decimal(10)

    def beyond(self, expected: Decimal, mad: Decimal) -> Decimal:
        """Return the difference from the expected above which a day is unusual."""
        return max(self.deviation * TO_SIGMA * mad, self.share * abs(expected), self.least)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a day was expected to cost, by which days before, and the difference it may have."""

    expected: Decimal
    limit: Decimal
    references: Mapping[
        date, Decimal
    ]  # the days whose amounts are the expected one: weights sum to 1

    def side(self, actual: Decimal) -> int:
        """Return 1 for unusually much, -1 for unusually little, else 0."""
        if abs(actual - self.expected) <= self.limit:
            return 0
        return 1 if actual > self.expected else -1


def judge(history: Mapping[date, Decimal], day: date, limits: Limits) -> Judgement | None:
    """Say what `day` should cost by the complete days before it; None while they are too few.

    `history` holds every day since the first use, those without a call as zero, and not those that
    people called expected. Of hours it holds the same hour of each day.
    """
    if len(history) < LEAST_DAYS:
        return None
    usual = _usual(history)
    expected, references = usual[day.weekday()]
    residuals = [amount - usual[each.weekday()][0] for each, amount in history.items()]
    return Judgement(
        money.half_even(expected),
        limits.beyond(expected, _mad(residuals)),
        references,
    )


def runs(sides: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (first, end, side) of every stretch of neighbours that are unusual to the same side."""
    first = 0
    for n in range(1, len(sides) + 1):
        if n == len(sides) or sides[n] != sides[first]:
            if sides[first]:
                yield first, n, sides[first]
            first = n


def median(amounts: Sequence[Decimal]) -> Decimal:
    """Return the middle amount, or the mean of the two in the middle."""
    ranked = sorted(amounts)
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) * HALF


def _usual(history: Mapping[date, Decimal]) -> dict[int, tuple[Decimal, Mapping[date, Decimal]]]:
    """Return what each weekday costs: the median of its own days once there are enough."""
    overall = _middle(history)
    found = {}
    for weekday in range(7):
        alike = {day: amount for day, amount in history.items() if day.weekday() == weekday}
        found[weekday] = _middle(alike) if len(alike) >= LEAST_ALIKE else overall
    return found


def _middle(days: Mapping[date, Decimal]) -> tuple[Decimal, Mapping[date, Decimal]]:
    """Return the median amount and the days that it is of; of equal amounts, the newest days."""
    ranked = sorted(days, key=lambda day: (days[day], day))
    middle = len(ranked) // 2
    if len(ranked) % 2:
        return days[ranked[middle]], {ranked[middle]: Decimal(1)}
    low, high = ranked[middle - 1], ranked[middle]
    return (days[low] + days[high]) * HALF, {low: HALF, high: HALF}


def _mad(residuals: Sequence[Decimal]) -> Decimal:
    center = median(residuals)
    return median([abs(residual - center) for residual in residuals])
