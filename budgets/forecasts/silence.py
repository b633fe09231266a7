"""Whether a scope that normally spends has fallen silent: more likely a broken meter than a saving."""

from collections.abc import Sequence
from datetime import date, timedelta

from budgets.forecasts import methods
from budgets.forecasts.methods import WEEK, ZERO, History

NORMAL = 3 * WEEK  # days of history by which a weekday's habit is known
LONGEST = 4 * WEEK  # a scope silent for longer has simply ended


def since(history: History, called: Sequence[bool]) -> date | None:
    """Return the first complete day that should have had calls and, like all after it, had none.

    A day should have had calls when its weekday's median before the silence is above 0; so offices
    that rest at weekends are not silent on Sunday.
    """
    begins = len(called)
    while begins and not called[begins - 1]:
        begins -= 1
    if begins < NORMAL or len(called) - begins > LONGEST:
        return None
    week = methods.weekday_medians(history.costs, begins)
    for number in range(begins, len(called)):
        if week[(number - begins) % WEEK] > ZERO:
            return history.first + timedelta(days=number)
    return None


def last_called(history: History, called: Sequence[bool]) -> date | None:
    """Return the last complete day with calls."""
    found = [number for number, is_called in enumerate(called) if is_called]
    return history.first + timedelta(days=found[-1]) if found else None
