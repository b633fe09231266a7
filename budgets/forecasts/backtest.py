"""How wrong a method was: from every past day the same horizon forecast, set against what came."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from budgets.forecasts import methods
from budgets.forecasts.methods import FROM, HOLT_WINTERS, SETTLING, WEEK, WEEKDAY, ZERO

LEAST_ERRORS = 8  # fewer say nothing about an interval
LOW, HALF, HIGH, ONE = Decimal("0.1"), Decimal("0.5"), Decimal("0.9"), Decimal(1)
RECENT = 92  # days of the last 3 months
RIVALRY = 4 * WEEK  # the horizon at which two methods are compared is no longer than this
RATIO = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Trial:
    """A forecast made after `origin` days, and what the days of its horizon cost."""

    origin: int
    expected: Decimal
    actual: Decimal

    @property
    def error(self) -> Decimal:
        """Return by how much the actual cost passed the forecast."""
        return self.actual - self.expected


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well the last 3 months were forecast; a figure is absent where nothing can be said."""

    mape: Decimal | None
    coverage: Decimal | None


def choose(costs: Sequence[Decimal], horizon: int) -> tuple[str, list[Trial]]:
    """Return the method of a history and its trials; none for a history too short for any.

    Holt-Winters stays only while the weekday method errs no less over the same stretches.
    """
    method = methods.ladder(len(costs))
    if method != HOLT_WINTERS:
        return method, trials(method, costs, horizon) if method else []
    span = min(horizon, RIVALRY)
    winters = trials(HOLT_WINTERS, costs, span)
    weekdays = trials(WEEKDAY, costs, span)
    if _size(winters) > _size([trial for trial in weekdays if trial.origin >= SETTLING]):
        method, winters = WEEKDAY, weekdays
    return method, winters if span == horizon else trials(method, costs, horizon)


def trials(method: str, costs: Sequence[Decimal], horizon: int) -> list[Trial]:
    """Forecast `horizon` days from every origin that has them all behind it, the oldest first."""
    last = len(costs) - horizon
    sums = _running(costs)
    return [
        Trial(origin, expected, sums[origin + horizon] - sums[origin])
        for origin, expected in _forecasts(method, costs, horizon, last)
    ]


def interval(found: Sequence[Trial], horizon: int) -> tuple[Decimal, Decimal] | None:
    """Return what to add to a forecast for its p10 and p90; None with fewer than 8 errors.

    Horizons overlap, so many errors hold few independent ones, and their plain quantiles cover two
    truths of three where they promise four of five. Hence each lies outward by half the share of one
    independent horizon; that of a long history is the plain one.
    """
    errors = [trial.error for trial in found]
    if len(errors) < LEAST_ERRORS:
        return None
    independent = Decimal(len(errors) - 1) / horizon + 1
    outward = HALF / independent
    return quantile(errors, max(ZERO, LOW - outward)), quantile(errors, min(ONE, HIGH + outward))


def accuracy(found: Sequence[Trial], *, days: int, horizon: int) -> Accuracy:
    """Return the mean error and the coverage of the trials that ended in the last 3 months.

    Whether an interval covered is asked of the one that could be drawn at the time: from the errors
    of trials that had ended when the forecast was made.
    """
    recent = [trial for trial in found if trial.origin + horizon > days - RECENT]
    shares = [abs(trial.error) / trial.actual for trial in recent if trial.actual > 0]
    hits = [hit for trial in recent if (hit := _is_covered(trial, found, horizon)) is not None]
    return Accuracy(
        mape=_mean(shares),
        coverage=_mean([Decimal(hit) for hit in hits]),
    )


def quantile(values: Sequence[Decimal], share: Decimal) -> Decimal:
    """Return an empirical quantile: the value at share x (count + 1), between its neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) + 1)
    below = int(place)
    if below < 1:
        return ordered[0]
    if below >= len(ordered):
        return ordered[-1]
    step = ordered[below] - ordered[below - 1]
    return ordered[below - 1] + step * (place - below)


def _forecasts(
    method: str, costs: Sequence[Decimal], horizon: int, last: int
) -> list[tuple[int, Decimal]]:
    if method == HOLT_WINTERS:
        return [
            (origin, sum(fit.ahead(horizon), start=ZERO))
            for origin, fit in methods.fits(costs[: max(last, 2 * WEEK)])
            if SETTLING <= origin <= last
        ]
    return [
        (origin, _sum_ahead(method, costs, origin, horizon))
        for origin in range(FROM[method], last + 1)
    ]


def _sum_ahead(method: str, costs: Sequence[Decimal], origin: int, horizon: int) -> Decimal:
    if method == WEEKDAY:
        week = methods.weekday_medians(costs, origin)
        weeks, rest = divmod(horizon, WEEK)
        return sum(week, start=ZERO) * weeks + sum(week[:rest], start=ZERO)
    return sum(costs[:origin], start=ZERO) / origin * horizon


def _is_covered(trial: Trial, found: Sequence[Trial], horizon: int) -> bool | None:
    past = [earlier for earlier in found if earlier.origin + horizon <= trial.origin]
    known = interval(past, horizon)
    return None if known is None else known[0] <= trial.error <= known[1]


def _running(costs: Sequence[Decimal]) -> list[Decimal]:
    sums = [ZERO]
    for cost in costs:
        sums.append(sums[-1] + cost)
    return sums


def _size(found: Sequence[Trial]) -> Decimal:
    return sum((abs(trial.error) for trial in found), start=ZERO)


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    if not values:
        return None
    return (sum(values, start=ZERO) / len(values)).quantize(RATIO)
