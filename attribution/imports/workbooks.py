"""Tables that people upload: XLSX and CSV as spreadsheets write them, read as cells, never run."""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Context, Decimal
from numbers import Number
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from openpyxl import load_workbook
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

MOST_BYTES = 10_000_000
MOST_UNPACKED = 40_000_000
MOST_COLUMNS = 200
# A spreadsheet keeps 15 digits of a number and writes 19.99 as 19.989999999999998.
FIFTEEN = Context(prec=15)
ZIP, OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))

BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, ParseError, DefusedXmlException),
    *(InvalidFileException, ValueError, LookupError, RuntimeError, TypeError, AttributeError),
)

Value = str | Decimal


class WorkbookError(ValueError):
    """A file that is no table we can read; `args[0]` says why, by a word of `REASONS`."""

    code = "unreadable_file"


@dataclass(frozen=True, slots=True)
class Line:
    """One row that holds anything: its number in the file and its cells by column, from 0."""

    number: int
    cells: Mapping[int, Value]


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds, and how it was read: `xlsx` or the encoding of a CSV."""

    lines: list[Line]
    read_as: str


def read(content: bytes, *, fallback: str = "cp1252", most_rows: int = 10_001) -> Table:
    """Read a file; a CSV that is no UTF-8 is taken as `fallback` (gb18030, cp1252)."""
    if len(content) > MOST_BYTES:
        raise WorkbookError("too_big")
    if content.startswith(OLD_OFFICE):
        raise WorkbookError("old_format")
    if content.startswith(ZIP):
        lines, read_as = _spreadsheet(content), "xlsx"
    else:
        text, read_as = _decoded(content, fallback)
        lines = _separated(text)
    kept: list[Line] = []
    for line in lines:
        if len(kept) >= most_rows:
            raise WorkbookError("too_many_rows")
        kept.append(line)
    return Table(kept, read_as)


def letters(column: int) -> str:
    """Return how a spreadsheet calls a column: 0 is A, 26 is AA."""
    return get_column_letter(column + 1)


def _decoded(content: bytes, fallback: str) -> tuple[str, str]:
    marked = next((name for mark, name in MARKS if content.startswith(mark)), "")
    for encoding in (marked,) if marked else ("utf-8", fallback):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text, encoding.removesuffix("-sig")
    raise WorkbookError("unknown_encoding")


def _separated(text: str) -> Iterator[Line]:
    """Yield the rows of a CSV with comma, semicolon or tab, whichever the first line has most of."""
    first = text.lstrip("\r\n").partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in reader:
            found: dict[int, Value] = {
                at: cell.strip() for at, cell in enumerate(cells) if cell.strip()
            }
            if found:
                yield Line(reader.line_num, _bounded(found))
    except csv.Error as error:
        raise WorkbookError("broken") from error


def _spreadsheet(content: bytes) -> Iterator[Line]:
    """Yield the rows of the first sheet that is not hidden; formulas are cells, never calculated."""
    try:
        _weigh(content)
        said = _first_sheet(content, is_calculated=False)
        known = _first_sheet(content, is_calculated=True)
        for cells, values in zip(said.iter_rows(), known.iter_rows(), strict=True):
            if line := _line(cells, values):
                yield line
    except WorkbookError:
        raise
    except BROKEN as error:
        raise WorkbookError("broken") from error


def _weigh(content: bytes) -> None:
    """Refuse what unpacks to more than any table of ours, or is no spreadsheet."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
            raise WorkbookError("too_big")
        if "xl/workbook.xml" not in archive.namelist():
            raise WorkbookError("other_format")


def _first_sheet(content: bytes, *, is_calculated: bool) -> Any:
    """Open the sheet; what a spreadsheet last calculated and what it was told to are read apart."""
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=is_calculated)
    for sheet in book.worksheets:
        if sheet.sheet_state == "visible" and isinstance(sheet, ReadOnlyWorksheet):
            sheet.reset_dimensions()  # what a file says of its own size may be wrong
            return sheet
    raise WorkbookError("broken")


def _line(cells: Sequence[Any], values: Sequence[Any]) -> Line | None:
    found: dict[int, Value] = {}
    number = 0
    for cell, known in zip(cells, values, strict=True):
        value = _value(cell.value if known.value is None else known.value)
        if value != "":
            found[cell.column - 1] = value
            number = cell.row
    return Line(number, _bounded(found)) if found else None


def _value(value: object) -> Value:
    """Return a cell as text or exact number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time.min else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Number):
        # the library gives binary numbers: their 15 digits are what the sheet shows
        return FIFTEEN.create_decimal(repr(value)).normalize(FIFTEEN)
    return str(value).strip()


def _bounded(cells: dict[int, Value]) -> dict[int, Value]:
    if max(cells) >= MOST_COLUMNS:
        raise WorkbookError("too_many_columns")
    return cells
