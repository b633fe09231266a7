"""Charts as values: what is drawn, and the table that says the same in numbers."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Any

from attribution import money
from attribution.exports.sheets import Cell

HUES = 8
OTHER = "other"
INLINE_ROWS = 200  # a longer table is fetched when it is opened


class Kind(StrEnum):
    """What the cells of a column hold."""

    TEXT = "text"
    DAY = "day"
    INSTANT = "instant"
    MONEY = "money"
    COUNT = "count"
    PERCENT = "percent"
    MILLISECONDS = "milliseconds"


class Shape(StrEnum):
    """How a chart is drawn."""

    STACKED = "stacked"
    DOUGHNUT = "doughnut"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in files, its heading on the page, and what its cells hold."""

    name: str
    label: str
    kind: Kind = Kind.TEXT

    @property
    def is_number(self) -> bool:
        """Say whether the cells line up on the right."""
        return self.kind not in {Kind.TEXT, Kind.DAY, Kind.INSTANT}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under columns, perhaps a row of totals, and a note on what is not in them."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    note: str = ""

    @property
    def header(self) -> list[str]:
        """Return the names of the columns for a file."""
        return [column.name for column in self.columns]

    @property
    def body(self) -> list[list[tuple[Column, Cell]]]:
        """Return every row as pairs of column and cell, as templates need them."""
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]

    @property
    def foot(self) -> list[tuple[Column, Cell]]:
        """Return the totals as pairs of column and cell."""
        return list(zip(self.columns, self.total, strict=True)) if self.total else []

    @property
    def is_long(self) -> bool:
        """Say whether the page fetches the rows only when somebody opens the table."""
        return len(self.rows) > INLINE_ROWS


@dataclass(frozen=True, slots=True)
class Series:
    """One line, bar colour or slice: its hue, its exact values, and where a click leads."""

    label: str
    values: tuple[Decimal | None, ...]
    hue: str = OTHER
    is_dashed: bool = False
    is_line: bool = False
    is_hatched: bool = False  # expected, not yet so
    url: str = ""
    share: Decimal | None = None

    @property
    def total(self) -> Decimal:
        """Return the sum of the known values."""
        return sum((value for value in self.values if value is not None), start=Decimal(0))


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure: title with unit, shape, axis, series, and the equal table."""

    name: str
    title: str
    unit: str
    shape: Shape
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    table: Table
    shaded: tuple[int, ...] = ()
    is_logarithmic: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def data_id(self) -> str:
        """Return the id of the element that carries the payload."""
        return f"data-{self.name}"

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to draw."""
        return not any(value for series in self.series for value in series.values)

    @property
    def payload(self) -> dict[str, Any]:
        """Return what the drawing needs; amounts as decimal strings, converted in the browser."""
        return {
            "shape": self.shape,
            "unit": self.unit,
            "labels": self.labels,
            "shaded": self.shaded,
            "logarithmic": self.is_logarithmic,
            "texts": dict(self.texts),
            "series": [_drawn(series) for series in self.series],
        }


def hues(keys: Iterable[Hashable]) -> dict[Hashable, str]:
    """Give the first eight keys a hue of their own, so that a key looks the same on every page."""
    return {key: str(n) if n <= HUES else OTHER for n, key in enumerate(keys, start=1)}


def tenths(number: Decimal) -> Decimal:
    """Round a duration for drawing and tables."""
    return number.quantize(Decimal("0.1"), ROUND_HALF_EVEN)


def weekends(days: Iterable[date | datetime]) -> tuple[int, ...]:
    """Return the positions of Saturdays and Sundays."""
    return tuple(n for n, day in enumerate(days) if day.weekday() >= 5)


def _drawn(series: Series) -> dict[str, Any]:
    return {
        "label": series.label,
        "hue": series.hue,
        "dashed": series.is_dashed,
        "line": series.is_line,
        "hatched": series.is_hatched,
        "url": series.url,
        "values": [None if value is None else money.text(value) for value in series.values],
    }
