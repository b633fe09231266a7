"""The state of a budget, one word for how it stands: the worst thing that holds now."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

OK = "ok"
NO_DATA = "no_data"
WARNING = "warning"
ALERT = "alert"
STATES = (OK, NO_DATA, WARNING, ALERT)

HUNDRED = Decimal(100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Level:
    """A threshold as far as its figure goes; percent of the limit, or USD."""

    basis: str
    unit: str
    value: Decimal
    quantile: str = "p50"


@dataclass(frozen=True, slots=True)
class Figures:
    """What thresholds look at: the charge, the limit, and the forecast by quantile, where it exists."""

    limit: Decimal
    actual: Decimal
    forecast: tuple[tuple[str, Decimal], ...] = ()

    def of(self, level: Level) -> Decimal | None:
        """Return the figure that a threshold looks at."""
        if level.basis == "actual":
            return self.actual
        return dict(self.forecast).get(level.quantile) if level.basis == "forecast" else None


def is_reached(level: Level, figures: Figures) -> bool:
    """Say whether a threshold holds; nothing charged or expected reaches none, as in raise.sql."""
    figure = figures.of(level)
    if figure is None or figure <= ZERO:
        return False
    if level.unit == "percent":
        return figure * HUNDRED >= figures.limit * level.value
    return figure >= level.value


def burn_factor(spent: Decimal, *, limit: Decimal, share: Decimal) -> Decimal:
    """Return how many times the even pace was spent in a share of a period, as raise_ahead.sql does."""
    return spent / (limit * share) if limit > ZERO else ZERO


def charged(levels: Iterable[Level], figures: Figures) -> str:
    """Return the state by what is charged alone: it falls only by a raised limit or a refund."""
    if figures.actual > ZERO and figures.actual >= figures.limit:
        return ALERT
    reached = any(level.basis == "actual" and is_reached(level, figures) for level in levels)
    return WARNING if reached else OK


def judge(
    levels: Iterable[Level], figures: Figures, *, is_silent: bool, is_burning: bool = False
) -> str:
    """Return the state: used up, else a broken meter, else any threshold reached, else fine.

    A meter that is broken makes a low figure worth nothing, and an exhausted budget no better.
    """
    all_levels = tuple(levels)
    by_charge = charged(all_levels, figures)
    if by_charge == ALERT:
        return ALERT
    if is_silent:
        return NO_DATA
    reached = is_burning or any(is_reached(level, figures) for level in all_levels)
    return WARNING if reached or by_charge == WARNING else OK
