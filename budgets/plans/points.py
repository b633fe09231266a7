"""Thresholds as one cell of a sheet: `50%; 80%; 500 USD; forecast 100%; burn 3x/24h`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext

from attribution import money
from budgets.limits.models import Basis, Quantile, Threshold, Unit
from budgets.plans.amounts import CellError, Value, amount

AMOUNT = re.compile(
    r"(?:(actual|forecast)\s+)?(?:(p10|p50|p90)\s+)?(\S+?)\s*(%|USD)", re.IGNORECASE
)
BURN = re.compile(r"burn\s+(\S+?)\s*x\s*/\s*(\d{1,3})\s*h", re.IGNORECASE)
MOST = 20
MOST_HOURS = 744


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """What a threshold looks at, and from where on people are told."""

    basis: str
    unit: str
    value: Decimal
    quantile: str = Quantile.P50
    hours: int | None = None

    def __str__(self) -> str:
        if self.basis == Basis.BURN_RATE:
            return f"burn {money.text(self.value)}x/{self.hours}h"
        words = [self.basis] if self.basis != Basis.ACTUAL else []
        words += [self.quantile] if self.quantile != Quantile.P50 else []
        number = money.text(self.value)
        words.append(f"{number}%" if self.unit == Unit.PERCENT else f"{number} USD")
        return " ".join(words)

    def threshold(self) -> Threshold:
        """Return the row that says the same."""
        return Threshold(
            basis=self.basis,
            unit=self.unit,
            value=self.value,
            quantile=self.quantile,
            hours=self.hours,
        )


def point_of(row: Threshold) -> Point:
    """Return what a threshold says."""
    return Point(str(row.basis), str(row.unit), row.value, str(row.quantile), row.hours)


def written(points: Iterable[Point]) -> str:
    """Write thresholds as one cell, each once and always in the same order."""
    return "; ".join(
        str(one) for one in sorted(set(points), key=lambda p: (p.basis, p.unit, p.value, str(p)))
    )


def read(value: Value) -> list[Point]:
    """Read a cell of thresholds; a bare number is percent, as a spreadsheet keeps 80 %."""
    if isinstance(value, Decimal):
        return [Point(Basis.ACTUAL, Unit.PERCENT, value * 100 if value <= 2 else value)]
    parts = [part.strip() for part in re.split(r"[;\n]|(?<=[%DdHh]),", value) if part.strip()]
    if len(parts) > MOST:
        raise CellError(gettext("More than %(most)s thresholds.") % {"most": MOST})
    return [_point(part) for part in parts]


def _point(text: str) -> Point:
    if match := BURN.fullmatch(text):
        hours = int(match[2])
        if not 1 <= hours <= MOST_HOURS:
            raise CellError(_wrong(text))
        return Point(Basis.BURN_RATE, Unit.FACTOR, amount(match[1]), hours=hours)
    if match := AMOUNT.fullmatch(text):
        basis, quantile, number, unit = match.groups()
        basis, quantile = (basis or Basis.ACTUAL).lower(), (quantile or Quantile.P50).lower()
        if quantile != Quantile.P50 and basis != Basis.FORECAST:
            raise CellError(_wrong(text))
        kind = Unit.PERCENT if unit == "%" else Unit.USD
        return Point(basis, kind, amount(number), quantile)
    raise CellError(_wrong(text))


def _wrong(text: str) -> str:
    return gettext(
        "“%(value)s” is no threshold; write 80%%, 500 USD, forecast 100%% or burn 3x/24h."
    ) % {"value": text}
