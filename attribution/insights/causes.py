"""Why an amount changed: price, volume, intensity, mix and exchange rate, which add up exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from attribution import money

PARTS = ("price", "volume", "intensity", "mix", "fx")
ONE, ZERO = Decimal(1), Decimal(0)


@dataclass(frozen=True, slots=True)
class Line:
    """What one class of tokens (or fee) was used for, and its amount: quantity times price.

    An amount without a quantity is a quantity of credits at a price of 1.
    """

    quantity: Decimal
    amount: Decimal

    @classmethod
    def at(cls, quantity: Decimal, price: Decimal) -> "Line":
        """Return a line of a quantity at a price for one."""
        return cls(quantity, money.EXACT.multiply(quantity, price))

    @property
    def count(self) -> Fraction:
        """Return the quantity, of an amount without one the amount."""
        return Fraction(self.quantity or self.amount)

    @property
    def price(self) -> Fraction:
        """Return the average price of one, exactly; 0 where nothing was used."""
        return Fraction(self.amount) / self.count if self.count else Fraction(0)


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests and what they used, by class."""

    requests: Decimal
    lines: Mapping[str, Line]

    @property
    def quantity(self) -> Fraction:
        """Return the quantity of all classes."""
        return sum((line.count for line in self.lines.values()), start=Fraction(0))

    @property
    def amount(self) -> Decimal:
        """Return what all of it cost."""
        total = ZERO
        for line in self.lines.values():
            total = money.EXACT.add(total, line.amount)
        return total


@dataclass(frozen=True, slots=True)
class Causes:
    """The parts of a change; `is_new` when nothing was there to compare with: one part, the whole."""

    total: Decimal
    price: Decimal = ZERO
    volume: Decimal = ZERO
    intensity: Decimal = ZERO
    mix: Decimal = ZERO
    fx: Decimal = ZERO
    is_new: bool = False

    @property
    def parts(self) -> dict[str, Decimal]:
        """Return the parts by name; of new spend none."""
        return {} if self.is_new else {name: getattr(self, name) for name in PARTS}


def explain(
    before: Usage, after: Usage, *, rate_before: Decimal = ONE, rate_after: Decimal = ONE
) -> Causes:
    """Share a change out to its causes; with rates, in the invoice currency.

    volume = C0 (N1/N0 - 1), intensity = C0 (T1/T0 - N1/N0), mix = sum p0 q1 - C0 T1/T0,
    price = sum q1 (p1 - p0), fx = sum q1 p1 (r1 - r0); a class new in `after` takes p0 = p1.
    The parts sum to the change to its last decimal: they are rounded to the storage scale, and what
    rounding leaves goes to the largest.
    """
    total = money.EXACT.subtract(
        money.EXACT.multiply(after.amount, rate_after),
        money.EXACT.multiply(before.amount, rate_before),
    )
    if not (before.requests and before.quantity and before.amount):
        return Causes(total, is_new=True)
    first, second = Fraction(rate_before), Fraction(rate_after)
    exact = {name: part * first for name, part in _parts(before, after).items()}
    exact["fx"] = Fraction(after.amount) * (second - first)
    parts = _rounded(exact, total)
    return Causes(
        total, parts["price"], parts["volume"], parts["intensity"], parts["mix"], parts["fx"]
    )


def _parts(before: Usage, after: Usage) -> dict[str, Fraction]:
    cost = Fraction(before.amount)
    requests = Fraction(after.requests) / Fraction(before.requests)
    quantity = after.quantity / before.quantity
    at_old_prices = sum(
        (line.count * _old_price(before, name, line) for name, line in after.lines.items()),
        start=Fraction(0),
    )
    return {
        "price": Fraction(after.amount) - at_old_prices,
        "volume": cost * (requests - 1),
        "intensity": cost * (quantity - requests),
        "mix": at_old_prices - cost * quantity,
    }


def _old_price(before: Usage, name: str, line: Line) -> Fraction:
    old = before.lines.get(name)
    return old.price if old and old.count else line.price


def _rounded(exact: Mapping[str, Fraction], total: Decimal) -> dict[str, Decimal]:
    rounded = {name: _decimal(part) for name, part in exact.items()}
    rest = total
    for part in rounded.values():
        rest = money.EXACT.subtract(rest, part)
    largest = max(rounded, key=lambda name: (abs(rounded[name]), name))
    rounded[largest] = money.EXACT.add(rounded[largest], rest)
    return rounded


def _decimal(part: Fraction) -> Decimal:
    units = round(part * 10**money.SCALE)  # half to even
    return Decimal(units).scaleb(-money.SCALE, money.EXACT)
