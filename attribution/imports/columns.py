"""A CSV of calls through a column mapping: which column is which field, and what is the same for all."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from attribution.prices.tokens import CLASSES

DIMENSIONS = (
    "cost_center",
    "user_id",
    "path",
    "feature",
    "session_id",
    "feature_flag",
    "environment",
    "prompt_name",
)
NUMBERS = ("http_status", "first_byte_ms", "total_ms")
FIELDS = (
    *("timestamp", "event_id", "provider", "model", "service_tier", "cost"),
    *CLASSES,
    *DIMENSIONS,
    *NUMBERS,
)
REQUIRED = ("timestamp", "model")
# 2023-11-16 18:15:46.6805900, with T or a blank, a fraction of up to nine digits, maybe a zone
STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?"
)


class MappingError(ValueError):
    """A mapping that cannot be applied: an unknown field, a missing column, nothing to date calls by."""

    code = "invalid_mapping"


class RowError(ValueError):
    """One row that is no call; the text names the field and what stands there."""

    code = "invalid_row"


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns` say which column holds a field, `fixed` what every row is given; times without a
    zone are in `zone`.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    zone: str = "UTC"

    def __post_init__(self) -> None:
        named = [*self.columns, *self.fixed]
        unknown = sorted(set(named) - set(FIELDS))
        if unknown:
            raise MappingError(f"unknown field {', '.join(unknown)}; known are {', '.join(FIELDS)}")
        twice = sorted(set(self.columns) & set(self.fixed))
        missing = [name for name in REQUIRED if name not in named]
        if twice or missing:
            problem = f"{twice[0]} is given twice" if twice else f"{missing[0]} is not given"
            raise MappingError(problem)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Layout":
        """Read a saved mapping."""
        return cls(data.get("map", {}), data.get("set", {}), data.get("zone", "UTC"))

    def as_dict(self) -> dict[str, Any]:
        """Write the form in which a mapping is saved."""
        return {"map": dict(self.columns), "set": dict(self.fixed), "zone": self.zone}


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its fields as text, and a name that follows from what stands in the line alone."""

    line: int
    values: Mapping[str, str]
    name: str


def read(lines: Iterable[str], layout: Layout) -> Iterator[Row]:
    """Yield the rows of a CSV with a header line; empty lines are skipped.

    A row's name is the digest of its cells and of how many equal rows came before it: the same file
    gives the same names wherever it lies, and real repeats inside it stay apart.
    """
    reader = csv.reader(lines)
    header = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
    places = _places(header, layout)
    seen: Counter[bytes] = Counter()
    for cells in reader:
        if not any(cells):
            continue
        digest = hashlib.sha256("\0".join([*header, *cells]).encode()).digest()
        name = hashlib.sha256(digest + seen[digest].to_bytes(8, "big")).hexdigest()
        seen[digest] += 1
        found = {name: cells[place].strip() for name, place in places.items() if place < len(cells)}
        yield Row(reader.line_num, {**layout.fixed, **found}, name)


def instant(text: str, zone: str) -> datetime:
    """Read a time to the microsecond; without a zone of its own it is in `zone`."""
    match = STAMP.fullmatch(text.strip())
    if match is None:
        raise RowError(f"timestamp: “{text}” is not a time such as 2026-11-22 14:03:07.123")
    day, clock, fraction, offset = match.groups()
    micros = (fraction or "").ljust(6, "0")[:6]
    try:
        at = datetime.fromisoformat(
            f"{day}T{clock}{'' if clock.count(':') > 1 else ':00'}.{micros}{offset or ''}"
        )
    except ValueError as error:
        raise RowError(f"timestamp: “{text}” does not exist") from error
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def whole(name: str, text: str) -> int:
    """Read a count; an empty cell is none."""
    if not text:
        return 0
    digits = text.removesuffix(".0")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12:
        raise RowError(f"{name}: “{text}” is not a whole number")
    return int(digits)


def _places(header: list[str], layout: Layout) -> dict[str, int]:
    absent = sorted(set(layout.columns.values()) - set(header))
    if absent:
        raise MappingError(f"no column {', '.join(absent)}; the file has {', '.join(header)}")
    return {name: header.index(column) for name, column in layout.columns.items()}
