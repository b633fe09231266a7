"""Numbers, days and words as people write them in sheets; what could mean two things is refused."""

import re
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext

SPACES = dict.fromkeys(
    map(
        ord,
        " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}'\N{RIGHT SINGLE QUOTATION MARK}",
    )
)
GROUPED = re.compile(r"[1-9][0-9]{0,2}(?P<sign>[.,])[0-9]{3}(?:(?P=sign)[0-9]{3})*")
MOST_DECIMALS, MOST_DIGITS = 12, 24
EPOCH = date(1899, 12, 30)  # day 0 of a spreadsheet, as it counts from March 1900 on
YES = frozenset({"yes", "true", "1", "oui", "是", "y"})
NO = frozenset({"no", "false", "0", "non", "否", "n", ""})

Value = str | Decimal


class CellError(ValueError):
    """A cell that cannot be taken; its text says why, in words for people."""


def amount(value: Value) -> Decimal:
    """Read an amount that is not negative: 1500, 1500.50, 1 500,50, 1.500,50 or 1,500.50."""
    number = value if isinstance(value, Decimal) else _number(value)
    if number < 0:
        raise CellError(gettext("“%(value)s” is negative.") % {"value": value})
    exponent = number.normalize().as_tuple().exponent
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    if places > MOST_DECIMALS or number >= Decimal(10) ** (MOST_DIGITS - MOST_DECIMALS):
        raise CellError(gettext("“%(value)s” has too many digits.") % {"value": value})
    return number


def whole(value: Value, *, least: int = 0, most: int) -> int:
    """Read a whole number within bounds."""
    number = value if isinstance(value, Decimal) else _number(value)
    if number != number.to_integral_value() or not least <= number <= most:
        told = {"value": value, "least": least, "most": most}
        raise CellError(
            gettext("“%(value)s” is not a whole number from %(least)s to %(most)s.") % told
        )
    return int(number)


def day(value: Value) -> date:
    """Read a day: 2027-01-31, or what a spreadsheet keeps for a date."""
    try:
        if isinstance(value, Decimal):
            return EPOCH + timedelta(days=int(value))
        return date.fromisoformat(value[:10] if value[10:11] in {"T", " "} else value)
    except (ValueError, OverflowError) as error:
        text = gettext("“%(value)s” is not a day; write it as 2027-01-31.") % {"value": value}
        raise CellError(text) from error


def yes(value: Value) -> bool:
    """Read yes or no."""
    said = str(value).strip().lower()
    if said not in YES | NO:
        raise CellError(gettext("“%(value)s” is neither yes nor no.") % {"value": value})
    return said in YES


def _number(text: str) -> Decimal:
    bare = text.translate(SPACES).removeprefix("$").removesuffix("USD")
    _refuse_ambiguous(text, bare)
    if "," in bare and "." in bare:
        last = max(",.", key=bare.rfind)
        whole_part, _, decimals = bare.rpartition(last)
        other = "," if last == "." else "."
        is_grouped = GROUPED.fullmatch(whole_part) and last not in whole_part
        bare = f"{whole_part.replace(other, '')}.{decimals}" if is_grouped else ""
    elif (match := GROUPED.fullmatch(bare)) and bare.count(match["sign"]) > 1:
        bare = bare.replace(match["sign"], "")
    bare = bare.replace(",", ".")
    if not re.fullmatch(r"-?[0-9]{1,24}(\.[0-9]{1,24})?", bare):
        raise CellError(gettext("“%(value)s” is not a number.") % {"value": text})
    try:
        return Decimal(bare)
    except InvalidOperation as error:
        raise CellError(gettext("“%(value)s” is not a number.") % {"value": text}) from error


def _refuse_ambiguous(text: str, bare: str) -> None:
    """Refuse 1,500: one and a half to some, fifteen hundred to others."""
    match = GROUPED.fullmatch(bare)
    if match and match["sign"] == "," and bare.count(",") == 1:
        told = {"value": text, "plain": bare.replace(",", ""), "decimal": bare.replace(",", ".")}
        raise CellError(
            gettext("“%(value)s” could be %(plain)s or %(decimal)s: write one of them.") % told
        )
