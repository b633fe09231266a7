"""Rates per class and by size of a call: what one price version says, without time."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.prices.tokens import CLASSES

RATE_SCALE = 6  # decimals of a rate per 1,000,000 tokens: times whole tokens exact at 12 decimals
FEE_SCALE = 12  # decimals of a fee per call
PER_MILLION = Decimal("0.000001")
FEES = ("searches", "requests")  # USD for one web search, USD for one call

ALL_RATES = (*CLASSES, *FEES)

# a missing input-side rate is the input rate, a missing output-side rate the output rate
FALLBACKS = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "audio_input": "input",
    "audio_cache_read": "cache_read",
    "reasoning": "output",
    "audio_output": "output",
}


class RatesError(ValueError):
    """A rate that cannot be a price: negative, not exact, or of an unknown class."""

    code = "invalid_rates"


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per 1,000,000 tokens by class, and fees per search and per call.

    A class that is stated as None has no price per token (it is billed by time, say): a call with
    such tokens is unpriced, where an absent class falls back.
    """

    by_class: Mapping[str, Decimal | None]

    def __post_init__(self) -> None:
        for name, rate in self.by_class.items():
            if name not in ALL_RATES:
                raise RatesError(f"unknown token class: {name}")
            if rate is not None and not _is_rate(rate, _scale(name)):
                raise RatesError(f"{name}: {rate} is no rate of at most {_scale(name)} decimals")

    def of(self, name: str) -> Decimal | None:
        """Return the rate of a class or what it falls back to; None when it has no price."""
        while name not in self.by_class:
            if name not in FALLBACKS:
                return None
            name = FALLBACKS[name]
        return self.by_class[name]

    def multiplied(self, multiplier: Decimal) -> "Rates":
        """Return discounted or marked-up rates, rounded half-even: the result is the price."""
        return Rates(
            {
                name: None
                if rate is None
                else money.half_even(money.EXACT.multiply(rate, multiplier), scale=_scale(name))
                for name, rate in self.by_class.items()
            }
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, str | None]) -> "Rates":
        """Read decimal strings."""
        return cls({k: None if rate is None else Decimal(rate) for k, rate in data.items()})

    def as_dict(self) -> dict[str, str | None]:
        """Write decimal strings."""
        return {k: None if rate is None else money.text(rate) for k, rate in self.by_class.items()}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rates by size of the call: the whole call pays the tier that its input tokens reach."""

    base: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()  # (above, rates), ascending

    def at(self, input_tokens: int) -> Rates:
        """Return the rates of the highest tier that `input_tokens` exceed."""
        reached = [rates for above, rates in self.tiers if input_tokens > above]
        return reached[-1] if reached else self.base

    def reach(self, input_tokens: int | None) -> list[Rates]:
        """Return all rates that a call of at most `input_tokens` (None: any size) may meet."""
        reached = [r for above, r in self.tiers if input_tokens is None or input_tokens > above]
        return [self.base, *reached]

    def multiplied(self, multiplier: Decimal) -> "Schedule":
        """Return the schedule with every rate multiplied."""
        tiers = tuple((above, rates.multiplied(multiplier)) for above, rates in self.tiers)
        return Schedule(self.base.multiplied(multiplier), tiers)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Schedule":
        """Read the JSON form."""
        tiers = ((tier["above"], Rates.from_dict(tier["rates"])) for tier in data.get("tiers", ()))
        return cls(Rates.from_dict(data["base"]), tuple(sorted(tiers, key=lambda tier: tier[0])))

    def as_dict(self) -> dict[str, Any]:
        """Write the JSON form."""
        data: dict[str, Any] = {"base": self.base.as_dict()}
        if self.tiers:
            data["tiers"] = [{"above": n, "rates": rates.as_dict()} for n, rates in self.tiers]
        return data


def _scale(name: str) -> int:
    return FEE_SCALE if name in FEES else RATE_SCALE


def _is_rate(rate: Decimal, scale: int) -> bool:
    return rate.is_finite() and rate >= 0 and rate == money.half_even(rate, scale=scale)
