"""Tables as XLSX files: typed cells, a heading that stays, lists to choose from, no formula."""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from attribution.exports.sheets import Cell, cell, guarded

MIME = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Equal tables are equal files, so that a closed month's can be compared: no file knows when it was made.
MADE = datetime(2000, 1, 1, tzinfo=UTC)
OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
# What XML 1.0 cannot say at all.
UNSAYABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
LAST_ROW = 10_000  # that a list of choices is offered in
LONGEST = 60


@dataclass(frozen=True, slots=True)
class Page:
    """One sheet: its name, its heading, its rows, and what may be chosen in a column."""

    name: str
    header: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    choices: Sequence[tuple[int, Sequence[str]]] = ()


def workbook(pages: Sequence[Page]) -> bytes:
    """Write pages as one XLSX file; equal pages give equal bytes."""
    written = io.BytesIO()
    book = Workbook(written, OPTIONS)
    book.set_properties({"created": MADE.replace(tzinfo=None)})
    bold, text = book.add_format({"bold": True}), book.add_format({"num_format": "@"})
    for page in pages:
        _write(book.add_worksheet(page.name[:31]), page, bold=bold, text=text)
    book.close()
    return written.getvalue()


def _write(sheet: Worksheet, page: Page, *, bold: Format, text: Format) -> None:
    widths = [len(name) for name in page.header]
    for column, name in enumerate(page.header):
        sheet.write_string(0, column, _sayable(name), bold)
    for number, values in enumerate(page.rows, start=1):
        for column, value in enumerate(values):
            widths[column] = max(widths[column], min(len(cell(value)), LONGEST))
            _put(sheet, number, column, value, text)
    for column, width in enumerate(widths):
        sheet.set_column(column, column, width + 3)
    sheet.freeze_panes(1, 0)
    for column, offered in page.choices:
        # others stay possible: whoever imports the file explains them
        rule = {"validate": "list", "source": list(offered), "show_error": False}
        sheet.data_validation(1, column, LAST_ROW, column, rule)


def _put(sheet: Worksheet, row: int, column: int, value: Cell, text: Format) -> None:
    if value is None or value == "":
        return
    if isinstance(value, int | Decimal):
        sheet.write_number(row, column, value)
        return
    said = cell(value) if isinstance(value, date | datetime) else guarded(value)
    sheet.write_string(row, column, _sayable(said), text)


def _sayable(text: str) -> str:
    return UNSAYABLE.sub("\N{REPLACEMENT CHARACTER}", text)
