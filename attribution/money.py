"""Exact money: the storage scale, the two sharing functions of the books, parse and format."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal

SCALE = (
    12  # NUMERIC(24,12): unit prices of 6 decimals times whole tokens per million are exact here
)
EXACT = Context(prec=76, rounding=ROUND_HALF_EVEN)  # twice NUMERIC(38,18): products never round

# ISO 4217: only the currencies that do not have two decimals.
MINOR_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


class MoneyError(ValueError):
    """Text or a share that is no exact amount of money."""

    code = "invalid_amount"


def minor_digits(currency: str) -> int:
    """Return the decimals of the smallest coin of an ISO 4217 currency."""
    return MINOR_DIGITS.get(currency.upper(), 2)


def parse(text: str | int | Decimal, *, scale: int = SCALE) -> Decimal:
    """Read an exact amount of at most `scale` decimals; refuse anything that would need rounding."""
    try:
        amount = Decimal(text)
    except (ArithmeticError, ValueError, TypeError) as error:
        raise MoneyError(f"not an amount: {text!r}") from error
    if not amount.is_finite():
        raise MoneyError(f"not a finite amount: {text!r}")
    if amount.adjusted() > EXACT.prec - scale - 2:
        raise MoneyError("an amount of that size does not exist")
    exact = amount.quantize(Decimal(1).scaleb(-scale), context=EXACT)
    if exact != amount:
        raise MoneyError(f"more than {scale} decimals: {text!r}")
    return exact


def text(amount: Decimal) -> str:
    """Write an amount as a plain decimal string: no exponent, no trailing zeros, no minus zero."""
    if not amount:
        return "0"
    digits = format(amount, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def round_up(amount: Decimal, *, scale: int = SCALE) -> Decimal:
    """Round towards plus infinity: holds round up, settled costs never."""
    return amount.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_CEILING, context=EXACT)


def half_even(amount: Decimal, *, scale: int = SCALE) -> Decimal:
    """Round half to even: finer source prices on load, and converted amounts."""
    return amount.quantize(Decimal(1).scaleb(-scale), context=EXACT)


def split(total: Decimal, weights: Mapping[str, Decimal], *, scale: int) -> dict[str, Decimal]:
    """Share `total` by `weights` so that the shares sum to it exactly, by largest remainder.

    Ties go to the lower key in byte order (keys are cost-center codes), so a re-run gives the same.
    """
    whole = _units(total, scale)
    shares = _whole_weights(weights)
    quota = sum(shares.values())
    parts = {key: divmod(abs(whole) * share, quota) for key, share in shares.items()}
    sign = -1 if whole < 0 else 1
    return _give_remainder(parts, sign * whole, sign=sign, scale=scale)


def round_lines(lines: Mapping[str, Decimal], total: Decimal, *, scale: int) -> dict[str, Decimal]:
    """Round exact lines of mixed sign to `scale` so that they sum to `total`, their exact sum."""
    if _sum(lines.values()) != total:
        raise MoneyError("the exact lines do not sum to the total")
    whole = _units(total, scale)
    sign = -1 if whole < 0 else 1
    one = 10 ** _decimals(lines.values())
    parts = {
        key: divmod(sign * _whole(amount, one) * 10**scale, one) for key, amount in lines.items()
    }
    return _give_remainder(parts, sign * whole, sign=sign, scale=scale)


def _give_remainder(
    parts: Mapping[str, tuple[int, int]], total: int, *, sign: int, scale: int
) -> dict[str, Decimal]:
    """Give the units that flooring left over one by one to the largest fractional parts."""
    missing = total - sum(floor for floor, _ in parts.values())
    if not 0 <= missing < max(len(parts), 1):
        raise MoneyError(f"{missing} units cannot be shared over {len(parts)} lines")
    ranked = sorted(parts, key=lambda key: (-parts[key][1], key.encode()))
    lucky = set(ranked[:missing])
    return {
        key: Decimal(sign * (floor + (key in lucky))).scaleb(-scale, EXACT)
        for key, (floor, _) in parts.items()
    }


def _whole_weights(weights: Mapping[str, Decimal]) -> dict[str, int]:
    """Return the weights as integers of one common scale; shares of integers are exact."""
    one = 10 ** _decimals(weights.values())
    shares = {key: _whole(weight, one) for key, weight in weights.items()}
    if not any(shares.values()) or min(shares.values()) < 0:
        raise MoneyError("weights must not be negative and must not all be zero")
    return shares


def _units(amount: Decimal, scale: int) -> int:
    return int(parse(amount, scale=scale).scaleb(scale, EXACT))


def _whole(amount: Decimal, one: int) -> int:
    return int(EXACT.multiply(amount, Decimal(one)))


def _decimals(amounts: Iterable[Decimal]) -> int:
    """Return how many decimals it takes to write every amount as a whole number."""
    exponents = [exponent for a in amounts if isinstance(exponent := a.as_tuple().exponent, int)]
    return max(0, *(-exponent for exponent in exponents), 0)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
