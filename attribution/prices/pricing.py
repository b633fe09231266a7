"""The price of one call: rates, tiers and windows in, an exact cost and its lines out."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.prices.rates import ALL_RATES, FEES, PER_MILLION, Rates, Schedule
from attribution.prices.tokens import Tokens

__all__ = [
    "CUT_AT_HOLD",
    "OTHER_MODEL",
    "PER_MILLION",
    "PROVIDER_DIFFERENCE",
    "Card",
    "Cost",
    "DailyWindow",
    "DatedCard",
    "Line",
    "Rates",
    "Schedule",
    "ceiling",
    "cost",
    "hold",
    "joined",
    "price_at",
    "rates_for",
    "stated",
]

OTHER_MODEL = "other_model"  # the ledger's line of tokens that have another model's rates
PROVIDER_DIFFERENCE = "provider_difference"  # what a provider states, less what we calculate
CUT_AT_HOLD = "cut_at_hold"  # a count of ours may not be above what the call can cost
EVERY_DAY = tuple(range(7))
EXACT_USD = Decimal(1).scaleb(-money.SCALE)
# what providers call the ordinary tier; an unlisted tier without rates of its own has no price
STANDARD_TIERS = frozenset({"", "auto", "default", "on_demand", "standard"})


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

    def multiplied(self, multiplier: Decimal) -> "Card":
        """Return the card with an upstream's discount or markup in every rate."""
        return Card(
            self.standard.multiplied(multiplier),
            {name: tier.multiplied(multiplier) for name, tier in self.service_tiers.items()},
            tuple(replace(w, schedule=w.schedule.multiplied(multiplier)) for w in self.windows),
        )

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


def joined(cost: Cost | None, other: Cost | None) -> Cost | None:
    """Add what another model cost inside a call, as one line; None when either has no price."""
    if cost is None or other is None:
        return None
    line = Line(OTHER_MODEL, 1, other.total, other.total)
    return Cost(money.EXACT.add(cost.total, other.total), (*cost.lines, line))


def stated(
    total: Decimal, tokens: Tokens, calculated: Cost | None, *, name: str = PROVIDER_DIFFERENCE
) -> Cost:
    """Return a cost that somebody else states: our own lines, and one for what differs from them.

    Without a calculation the tokens are counted at 0 and the difference is all of it.
    """
    own = calculated or Cost(Decimal(0), tuple(_counted(tokens)))
    difference = money.EXACT.subtract(total, own.total)
    if not difference and own.lines:
        return Cost(total, own.lines)
    return Cost(total, (*own.lines, Line(name, 1, difference, difference)))


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


def _amount(name: str, quantity: int, rate: Decimal) -> Decimal:
    unit = rate if name in FEES else money.EXACT.multiply(rate, PER_MILLION)
    return money.EXACT.multiply(unit, Decimal(quantity)).quantize(EXACT_USD, context=money.EXACT)


def _counted(tokens: Tokens) -> Iterable[Line]:
    nothing = Decimal(0)
    return (Line(name, count, nothing, nothing) for name, count in tokens.as_dict().items())


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0).quantize(EXACT_USD)
    for amount in amounts:
        total = money.EXACT.add(total, amount)
    return total
