"""Numbers in providers' answers, read with suspicion: counts of tokens and amounts of money."""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from gateway.proxy.protocols.wire import Json

LARGEST = 10**9

# Fractions become Decimal from their own digits: a provider's charge is money.
decode = msgspec.json.Decoder(float_hook=Decimal).decode


def count(holder: Json, name: str) -> int | None:
    """Return a count of tokens; anything but an integer 0…10⁹ is missing."""
    value = holder.get(name)
    return value if type(value) is int and 0 <= value <= LARGEST else None


def part(holder: Json, name: str) -> Json:
    """Return an object inside; empty when it is missing."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def amount(value: Any, *, most: int = LARGEST) -> Decimal | None:
    """Return a number of dollars or ticks from 0 to `most`: the books hold no larger ones."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= most else None
