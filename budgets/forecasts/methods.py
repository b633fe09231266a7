"""The ladder of methods by which days to come are expected: run-rate, weekday median, Holt-Winters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

RUN_RATE, WEEKDAY, HOLT_WINTERS = "run_rate", "weekday", "holt_winters"
FROM = {RUN_RATE: 3, WEEKDAY: 14, HOLT_WINTERS: 60}  # complete days each method needs
WEEK = 7
WEEKS = 8  # the weekday method looks no further back
SETTLING = 3 * WEEK  # days after which Holt-Winters, started on two weeks, is worth comparing
SCALE = Decimal("0.000000000001")
ZERO = Decimal(0)
GRID = [
    (Decimal(level), Decimal(trend), Decimal(season))
    for level in ("0.05", "0.15", "0.3", "0.5")
    for trend in ("0", "0.05")
    for season in ("0.05", "0.2")
]


@dataclass(frozen=True, slots=True)
class History:
    """What complete days cost, one after the other from `first` on, days without cost as 0."""

    first: date
    costs: tuple[Decimal, ...]

    @property
    def end(self) -> date:
        """Return the day after the last complete one."""
        return self.first + timedelta(days=len(self.costs))

    @property
    def last(self) -> date | None:
        """Return the last complete day: the data reach through it."""
        return self.end - timedelta(days=1) if self.costs else None


def ladder(days: int) -> str:
    """Return the method for a history of so many complete days; empty when there is none."""
    return next((name for name in reversed(FROM) if days >= FROM[name]), "")


def expect(method: str, costs: Sequence[Decimal], horizon: int) -> tuple[Decimal, ...]:
    """Return what each of the next `horizon` days is expected to cost, at the ledger's scale."""
    if method == RUN_RATE:
        days = [sum(costs, start=ZERO) / len(costs)] * horizon
    elif method == WEEKDAY:
        week = weekday_medians(costs, len(costs))
        days = [week[ahead % WEEK] for ahead in range(horizon)]
    else:
        *_, (_, best) = fits(costs)
        days = best.ahead(horizon)
    return tuple(day.quantize(SCALE, ROUND_HALF_EVEN) for day in days)


def weekday_medians(costs: Sequence[Decimal], end: int) -> list[Decimal]:
    """Return, for each of the 7 days from `end` on, the median of its weekday before `end`."""
    start = max(0, end - WEEKS * WEEK)
    return [
        median([costs[index] for index in range(day, start - 1, -WEEK)])
        for day in range(end - WEEK, end)
    ]


def median(values: Sequence[Decimal]) -> Decimal:
    """Return the middle value, or the mean of the two middle ones."""
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


@dataclass(slots=True)
class Fit:
    """Additive Holt-Winters with a season of 7, in error-correction form, at one set of weights."""

    weights: tuple[Decimal, Decimal, Decimal]
    level: Decimal
    season: list[Decimal]
    trend: Decimal = ZERO
    squares: Decimal = ZERO
    seen: int = 2 * WEEK
    _gains: tuple[Decimal, Decimal, Decimal] = field(init=False)

    def __post_init__(self) -> None:
        level, trend, season = self.weights
        self._gains = (level, level * trend, season * (1 - level))

    def learn(self, cost: Decimal) -> None:
        """Take in the next day; its one-step error counts against these weights."""
        at = self.seen % WEEK
        error = cost - self.level - self.trend - self.season[at]
        level, trend, season = self._gains
        self.level += self.trend + level * error
        self.trend += trend * error
        self.season[at] += season * error
        self.squares += error * error
        self.seen += 1

    def ahead(self, horizon: int) -> list[Decimal]:
        """Return the expectation of the next days, none below 0."""
        return [
            max(ZERO, self.level + self.trend * step + self.season[(self.seen + step - 1) % WEEK])
            for step in range(1, horizon + 1)
        ]


def fits(costs: Sequence[Decimal]) -> Iterator[tuple[int, Fit]]:
    """Yield for each number of days, from two weeks on, the best fit that was known by then.

    The best is the one with the smallest squared one-step errors so far, so nothing that is yielded
    knows a later day. A fit moves on with the iterator: use it before the next one.
    """
    first, second = (sum(costs[at : at + WEEK], start=ZERO) / WEEK for at in (0, WEEK))
    season = [(costs[day] - first + costs[day + WEEK] - second) / 2 for day in range(WEEK)]
    rivals = [Fit(weights, second, list(season)) for weights in GRID]
    yield 2 * WEEK, rivals[0]
    for day in range(2 * WEEK, len(costs)):
        for rival in rivals:
            rival.learn(costs[day])
        yield day + 1, min(rivals, key=lambda fit: fit.squares)
