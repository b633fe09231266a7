"""Whether a rate can be meant: its unit, its jump, and what a second list says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.prices.pricing import Card
from attribution.prices.rates import FEES, Rates

SMALLEST = Decimal("0.001")  # USD per million tokens; outside of these a unit was likely mistaken
LARGEST = Decimal(1_000)
LEAP = 10  # so many times more or less than before
TOLERANCE = Decimal("0.01")  # within which two lists agree


@dataclass(frozen=True, slots=True)
class Doubt:
    """A rate that a person confirms a second time, seeing it in every unit; `before` if it leapt."""

    token_class: str
    per_million: Decimal
    before: Decimal | None = None

    @property
    def per_thousand(self) -> Decimal:
        """Return USD per 1,000 tokens."""
        return self.per_million.scaleb(-3)

    @property
    def per_token(self) -> Decimal:
        """Return USD per token."""
        return self.per_million.scaleb(-6)


@dataclass(frozen=True, slots=True)
class Difference:
    """One rate in two lists, USD per million tokens."""

    token_class: str
    own: Decimal
    other: Decimal


def doubts(new: Rates, before: Rates | None = None) -> list[Doubt]:
    """Return the rates per token whose size or change is likelier a slip of the unit than a price."""
    found = []
    for name, rate in _tokens(new).items():
        old = before.of(name) if before else None
        if old and _is_leap(old, rate):
            found.append(Doubt(name, rate, old))
        elif rate and not SMALLEST <= rate <= LARGEST:
            found.append(Doubt(name, rate))
    return found


def leaps(new: Rates, before: Rates) -> list[Doubt]:
    """Return only the rates that changed tenfold or more."""
    return [doubt for doubt in doubts(new, before) if doubt.before is not None]


def differences(rates: Mapping[str, Any], other: Rates) -> list[Difference]:
    """Compare what both lists state of a model; a list without hours may state those of any hour."""
    card = Card.from_dict(rates)
    every = [card.standard.base, *(window.schedule.base for window in card.windows)]
    found = [_differences(own, other) for own in every]
    return min(found, key=len)


def _differences(own: Rates, other: Rates) -> list[Difference]:
    stated, said = _tokens(own), _tokens(other)
    return [
        Difference(name, stated[name], said[name])
        for name in stated
        if name in said and not _is_close(stated[name], said[name])
    ]


def _is_close(own: Decimal, other: Decimal) -> bool:
    return abs(own - other) <= money.EXACT.multiply(own, TOLERANCE)


def _is_leap(old: Decimal, new: Decimal) -> bool:
    return bool(new) and (new >= old * LEAP or old >= new * LEAP)


def _tokens(rates: Rates) -> dict[str, Decimal]:
    return {
        name: rate for name, rate in rates.by_class.items() if name not in FEES and rate is not None
    }
