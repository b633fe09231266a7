"""Tables that people upload: XLSX and CSV as spreadsheets write them, read as cells, never run."""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from posixpath import join, normpath

from attribution.imports import markup
from attribution.imports.markup import Element, MarkupError

MOST_BYTES = 10_000_000
MOST_UNPACKED = 40_000_000
MOST_COLUMNS = 200
# A spreadsheet keeps 15 digits of a number and writes 19.99 as 19.989999999999998.
FIFTEEN = Context(prec=15)
ZIP, OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")

BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, MarkupError),
    *(ValueError, LookupError, RuntimeError),  # a number, a place or a way of packing that is none
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
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


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
    """Yield the rows of the first sheet that is not hidden."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _weigh(archive)
            strings = list(_strings(archive))
            for row in markup.elements(_part(archive, _first_sheet(archive)), "row"):
                if line := _line(row, strings):
                    yield line
    except WorkbookError:
        raise
    except BROKEN as error:
        raise WorkbookError("broken") from error


def _weigh(archive: zipfile.ZipFile) -> None:
    """Refuse what unpacks to more than any table of ours; no part unpacks to more than it says."""
    if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
        raise WorkbookError("too_big")


def _line(row: Element, strings: list[str]) -> Line | None:
    cells: dict[int, Value] = {}
    number = int(row.attributes.get("r", "0") or 0)
    for at, cell in enumerate(row.inside("c")):
        match = REFERENCE.fullmatch(cell.attributes.get("r", ""))
        column = _column(match[1]) if match else at
        number = int(match[2]) if match else number
        value = _value(cell, strings)
        if value != "":
            cells[column] = value
    return Line(number, _bounded(cells)) if cells else None


def _value(cell: Element, strings: list[str]) -> Value:
    kind = cell.attributes.get("t", "n")
    if kind == "inlineStr":
        return _said(cell)
    text = "".join(part.text for part in cell.inside("v")).strip()
    formula = "".join(part.text for part in cell.inside("f"))
    if not text and formula:
        return f"={formula}"  # never calculated: whoever reads the cell says that it is none
    if kind == "s" and text:
        return strings[int(text)]
    if kind in {"str", "e", "d"} or not text:
        return text
    if kind == "b":
        return "TRUE" if text == "1" else "FALSE"
    try:
        return FIFTEEN.create_decimal(text).normalize(FIFTEEN)
    except InvalidOperation as error:
        raise WorkbookError("broken") from error


def _strings(archive: zipfile.ZipFile) -> Iterator[str]:
    if "xl/sharedStrings.xml" in archive.namelist():
        for one in markup.elements(_part(archive, "xl/sharedStrings.xml"), "si"):
            yield _said(one)


def _said(element: Element) -> str:
    """Return the text of a string; what only helps to pronounce it is left out."""
    return "".join(part.text for part in element.inside("t", but_not_in="rPh")).strip()


def _first_sheet(archive: zipfile.ZipFile) -> str:
    if "xl/workbook.xml" not in archive.namelist():
        raise WorkbookError("other_format")
    links = {
        link.attributes["Id"]: link.attributes["Target"]
        for link in markup.elements(_part(archive, "xl/_rels/workbook.xml.rels"), "Relationship")
    }
    for sheet in markup.elements(_part(archive, "xl/workbook.xml"), "sheet"):
        if sheet.attributes.get("state", "visible") == "visible":
            target = links[sheet.attributes["id"]]
            return target.lstrip("/") if target.startswith("/") else normpath(join("xl", target))
    raise WorkbookError("broken")


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    return archive.read(name)


def _column(name: str) -> int:
    at = 0
    for letter in name:
        at = at * 26 + ord(letter) - ord("A") + 1
    return at - 1


def _bounded(cells: dict[int, Value]) -> dict[int, Value]:
    if max(cells) >= MOST_COLUMNS:
        raise WorkbookError("too_many_columns")
    return cells
