"""What admissions must answer, worked out beside them: amounts are whole numbers of 10^-12 USD."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

UNIT = 12  # decimals


@dataclass(slots=True)
class Standing:
    """A locked period."""

    limit: int
    spent: int
    held: int
    uncertain: int
    is_hard: bool

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Standing":
        """Read the figures of a probe."""
        limit, spent, held, uncertain = (whole(amount) for amount in row[:4])
        return cls(limit, spent, held, uncertain, is_hard=row[4])

    @property
    def firm(self) -> int:
        """Return what would be left if no call were open."""
        return self.limit - self.spent - self.uncertain

    @property
    def room(self) -> int:
        """Return what calls may still hold."""
        return self.firm - self.held


def whole(amount: str | Decimal) -> int:
    """Return an amount as a whole number."""
    return int(Decimal(amount).scaleb(UNIT))


def text(amount: int) -> str:
    """Return a whole number as an amount in USD."""
    return f"{Decimal(amount).scaleb(-UNIT):f}"


def judge(
    calls: Sequence[Mapping[str, Any]],
    answers: Sequence[tuple[str, Mapping[str, Any]]],
    after: Mapping[int, Standing],
) -> list[str]:
    """Compare the answers of one question with the right ones; `after` is how its periods then stand.

    Nobody else moved them since they were locked: what was granted is taken back, then each call
    is decided anew in its order. So a grant over a limit and a refusal of what fits both show.
    """
    wrong = []
    for call, (outcome, _) in zip(calls, answers, strict=True):
        for period in call["periods"] if outcome == "granted" else ():
            after[period].held -= whole(call["amount"])
    for call, (outcome, detail) in zip(calls, answers, strict=True):
        amount, periods = whole(call["amount"]), [after[period] for period in call["periods"]]
        right = decide(amount, periods)
        if outcome == "granted":
            for standing in periods:
                standing.held += amount
        if outcome != right:
            wrong.append(f"{outcome} instead of {right} for {call['amount']}: {periods}")
        elif outcome != "granted" and not _is_told(detail["budget"], amount, after):
            wrong.append(f"{right} for {call['amount']} is told as {detail['budget']}")
    over = [one for one in _of_grants(calls, answers, after) if one.is_hard and one.room < 0]
    return [*wrong, *(f"{one} passed its limit at a commit" for one in over)]


def decide(amount: int, periods: Iterable[Standing]) -> str:
    """Return what a call must be answered."""
    hard = [one for one in periods if one.is_hard]
    if any(one.firm < amount for one in hard):
        return "budget_exceeded"
    return "budget_reserved" if any(one.room < amount for one in hard) else "granted"


def _of_grants(
    calls: Sequence[Mapping[str, Any]],
    answers: Sequence[tuple[str, Mapping[str, Any]]],
    after: Mapping[int, Standing],
) -> list[Standing]:
    granted = (c for c, (why, _) in zip(calls, answers, strict=True) if why == "granted")
    return [after[period] for period in {period for call in granted for period in call["periods"]}]


def _is_told(said: Mapping[str, Any], amount: int, after: Mapping[int, Standing]) -> bool:
    """Say whether a refusal tells the figures of a hard period of that moment, which do not suffice."""
    standing = after[said["period_id"]]
    figures = (standing.limit, standing.spent, standing.held, standing.uncertain, amount)
    names = ("limit", "spent", "held", "uncertain", "needed")
    is_short = standing.is_hard and standing.room < amount
    return is_short and figures == tuple(whole(said[name]) for name in names)
