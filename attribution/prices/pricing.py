"""The price of one call: rates, tiers and windows in, an exact cost and its lines out."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.prices.tokens import CLASSES, Tokens

RATE_SCALE = 6  # decimals of a rate per 1,000,000 tokens: times whole tokens exact at 12 decimals
FEE_SCALE = 12  # decimals of a fee per call
PER_MILLION = Decimal("0.000001")
FEES = ("searches", "requests")  # USD for one web search, USD for one call

EVERY_DAY = tuple(range(7))
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
# what providers call the ordinary tier; an unlisted tier without rates of its own has no price
STANDARD_TIERS = frozenset({"", "auto", "default", "on_demand", "standard"})


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
            scale = FEE_SCALE if name in FEES else RATE_SCALE
            if rate is not None and not _is_rate(rate, scale):
                raise RatesError(f"{name}: {rate} is no rate of at most {scale} decimals")

    def of(self, name: str) -> Decimal | None:
        """Return the rate of a class or what it falls back to; None when it has no price."""
        while name not in self.by_class:
            if name not in FALLBACKS:
                return None
            name = FALLBACKS[name]
        return self.by_class[name]

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


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """Rates of certain hours (UTC, half-open, may cross midnight) of certain days, Monday 0."""

    start: time
    end: time
    schedule: Schedule
    days: tuple[int, ...] = EVERY_DAY

    def is_open(self, at: datetime) -> bool:
        """Say whether the hour of `at` lies inside; the dates are the price's own."""
        utc = at.astimezone(UTC)
        hour, day = utc.time(), utc.weekday()
        if self.start < self.end:
            return self.start <= hour < self.end and day in self.days
        if hour < self.end:
            return (day - 1) % 7 in self.days  # what began yesterday evening
        return hour >= self.start and day in self.days

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "DailyWindow":
        """Read the JSON form."""
        hours = (time.fromisoformat(data["start"]), time.fromisoformat(data["end"]))
        return cls(*hours, Schedule.from_dict(data), tuple(data.get("days", EVERY_DAY)))

    def as_dict(self) -> dict[str, Any]:
        """Write the JSON form."""
        data = {"start": f"{self.start:%H:%M}", "end": f"{self.end:%H:%M}"}
        days = {} if self.days == EVERY_DAY else {"days": list(self.days)}
        return {**data, **days, **self.schedule.as_dict()}


@dataclass(frozen=True, slots=True)
class Card:
    """All rates of a model between two dates: standard, by service tier, by hour of the day."""

    standard: Schedule
    service_tiers: Mapping[str, Schedule]
    windows: tuple[DailyWindow, ...] = ()

    def schedule(self, at: datetime, service_tier: str) -> Schedule | None:
        """Return what a call of `service_tier` at `at` pays; None for a tier without a price."""
        if service_tier in self.service_tiers:
            return self.service_tiers[service_tier]
        if service_tier not in STANDARD_TIERS:
            return None
        open_now = [window.schedule for window in self.windows if window.is_open(at)]
        return open_now[-1] if open_now else self.standard

    def reach(self, service_tiers: Collection[str] | None) -> list[Schedule]:
        """Return all schedules that a call of these tiers (None: any) may meet at any hour."""
        tiers = [
            s for k, s in self.service_tiers.items() if service_tiers is None or k in service_tiers
        ]
        return [self.standard, *tiers, *(window.schedule for window in self.windows)]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Card":
        """Read the JSON form, as prices store it and the gateway receives it."""
        tiers = data.get("service_tiers", {})
        return cls(
            Schedule.from_dict(data),
            {name: Schedule.from_dict(tier) for name, tier in tiers.items()},
            tuple(DailyWindow.from_dict(window) for window in data.get("windows", ())),
        )

    def as_dict(self) -> dict[str, Any]:
        """Write the JSON form; every amount is a decimal string."""
        data = self.standard.as_dict()
        if self.service_tiers:
            data["service_tiers"] = {k: tier.as_dict() for k, tier in self.service_tiers.items()}
        if self.windows:
            data["windows"] = [window.as_dict() for window in self.windows]
        return data


@dataclass(frozen=True, slots=True)
class DatedCard:
    """One price version: its card and the half-open time in which it is in force."""

    version: int
    card: Card
    effective_from: datetime
    effective_to: datetime | None = None

    def is_effective(self, at: datetime) -> bool:
        """Say whether this version is in force at `at`."""
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a cost: `amount` = quantity x unit price, per 1,000,000 tokens or per fee."""

    token_class: str
    quantity: int
    unit_price: Decimal
    amount: Decimal

    def as_dict(self) -> dict[str, Any]:
        """Write the JSON form that the ledger's functions read."""
        return {
            "token_class": self.token_class,
            "quantity": self.quantity,
            "unit_price": money.text(self.unit_price),
            "usd_amount": money.text(self.amount),
        }


@dataclass(frozen=True, slots=True)
class Cost:
    """An exact cost in USD and the lines that sum to it."""

    total: Decimal
    lines: tuple[Line, ...]


def price_at(prices: Iterable[DatedCard], at: datetime) -> DatedCard | None:
    """Return the version in force at `at`, or None: a price never reaches before its dates."""
    return next((price for price in prices if price.is_effective(at)), None)


def rates_for(
    card: Card, tokens: Tokens, *, at: datetime, service_tier: str | None = None
) -> Rates | None:
    """Choose the rates of a call by its time, its tier from the response, and its input tokens."""
    schedule = card.schedule(at, (service_tier or "").lower())
    return schedule.at(tokens.input_total) if schedule else None


def cost(tokens: Tokens, rates: Rates | None, *, searches: int = 0) -> Cost | None:
    """Price a call exactly; None, never 0, when any part of it has no price."""
    if rates is None or not rates.by_class:
        return None
    fees = {"searches": searches, "requests": 1 if rates.of("requests") else 0}
    quantities = {**tokens.as_dict(), **{name: count for name, count in fees.items() if count}}
    lines: list[Line] = []
    for name, quantity in quantities.items():
        rate = rates.of(name)
        if rate is None:
            return None
        lines.append(Line(name, quantity, rate, _amount(name, quantity, rate)))
    return Cost(_sum(line.amount for line in lines), tuple(lines))


def ceiling(
    cards: Iterable[Card],
    *,
    input_tokens: int | None = None,
    service_tiers: Collection[str] | None = None,
) -> Rates | None:
    """Return the highest rate of each class that a call may meet on any of `cards`, for its hold.

    Context tiers above `input_tokens` and service tiers not named are left out when the caller can
    prove them out of reach; every hour of the day counts. None when a card has no price.
    """
    highest: dict[str, Decimal | None] = {}
    for card in cards:
        every = [r for s in card.reach(service_tiers) for r in s.reach(input_tokens)]
        if not all(rates.by_class for rates in every):
            return None
        for name, rate in [(name, rates.of(name)) for rates in every for name in ALL_RATES]:
            if rate is not None:
                highest[name] = max(rate, highest.get(name) or rate)
    return Rates(highest) if highest else None


def hold(tokens: Tokens, rates: Rates | None, *, searches: int = 0) -> Decimal | None:
    """Price an upper bound: the ceiling's cost, rounded up to the storage scale."""
    bound = cost(tokens, rates, searches=searches)
    return money.round_up(bound.total) if bound else None


def _is_rate(rate: Decimal, scale: int) -> bool:
    return rate.is_finite() and rate >= 0 and rate == money.half_even(rate, scale=scale)


def _amount(name: str, quantity: int, rate: Decimal) -> Decimal:
    unit = rate if name in FEES else money.EXACT.multiply(rate, PER_MILLION)
    return money.EXACT.multiply(unit, Decimal(quantity)).quantize(_TWELVE, context=money.EXACT)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0).quantize(_TWELVE)
    for amount in amounts:
        total = money.EXACT.add(total, amount)
    return total


_TWELVE = Decimal(1).scaleb(-money.SCALE)
