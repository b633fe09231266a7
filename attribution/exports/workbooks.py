"""Tables as XLSX files: typed cells, a heading that stays, lists to choose from, no formula."""

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr

from attribution.exports.sheets import Cell, cell, guarded
from attribution.imports.workbooks import letters

MIME = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
# What XML 1.0 cannot say at all.
UNSAYABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
STYLES = (
    f'{HEAD}<styleSheet xmlns="{MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/>'
    '</font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill>'
    '<patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="3"><xf xfId="0"/><xf xfId="0" fontId="1" applyFont="1"/><xf xfId="0" numFmtId="49"'
    ' applyNumberFormat="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0"'
    ' builtinId="0"/></cellStyles></styleSheet>'
)
BOLD, TEXT = 1, 2
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
    parts = {
        "[Content_Types].xml": _content_types(len(pages)),
        "_rels/.rels": _links([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": _workbook(pages),
        "xl/_rels/workbook.xml.rels": _links(
            [("worksheet", f"worksheets/sheet{at}.xml") for at in range(1, len(pages) + 1)]
            + [("styles", "styles.xml")]
        ),
        "xl/styles.xml": STYLES,
    }
    for at, page in enumerate(pages, start=1):
        parts[f"xl/worksheets/sheet{at}.xml"] = _sheet(page)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name), text.encode(), zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _sheet(page: Page) -> str:
    rows = [_row(1, [_text(1, at, name, BOLD) for at, name in enumerate(page.header)])]
    widths = [len(name) for name in page.header]
    for number, values in enumerate(page.rows, start=2):
        rows.append(_row(number, [_cell(number, at, value) for at, value in enumerate(values)]))
        for at, value in enumerate(values):
            widths[at] = max(widths[at], min(len(cell(value)), LONGEST))
    columns = "".join(
        f'<col min="{at}" max="{at}" width="{width + 3}" customWidth="1"/>'
        for at, width in enumerate(widths, start=1)
    )
    pane = (
        '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2"'
        ' activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    )
    return (
        f'{HEAD}<worksheet xmlns="{MAIN}">{pane}<cols>{columns}</cols>'
        f"<sheetData>{''.join(rows)}</sheetData>{_choices(page)}</worksheet>"
    )


def _row(number: int, cells: Iterable[str]) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def _cell(row: int, column: int, value: Cell) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, int | Decimal):
        return f'<c r="{letters(column)}{row}"><v>{cell(value)}</v></c>'
    text = cell(value) if isinstance(value, date | datetime) else guarded(value)
    return _text(row, column, text, TEXT)


def _text(row: int, column: int, text: str, style: int) -> str:
    said = escape(UNSAYABLE.sub("\N{REPLACEMENT CHARACTER}", text))
    place = f'r="{letters(column)}{row}" s="{style}"'
    return f'<c {place} t="inlineStr"><is><t xml:space="preserve">{said}</t></is></c>'


def _choices(page: Page) -> str:
    """Offer a column's values as a list; other values stay possible, the import explains them."""
    if not page.choices:
        return ""
    lists = "".join(
        '<dataValidation type="list" allowBlank="1" showErrorMessage="0"'
        f' sqref="{letters(at)}2:{letters(at)}10001">'
        f"<formula1>{escape(chr(34) + ','.join(values) + chr(34))}</formula1></dataValidation>"
        for at, values in page.choices
    )
    return f'<dataValidations count="{len(page.choices)}">{lists}</dataValidations>'


def _workbook(pages: Sequence[Page]) -> str:
    sheets = "".join(
        f'<sheet name={quoteattr(page.name[:31])} sheetId="{at}" r:id="rId{at}"/>'
        for at, page in enumerate(pages, start=1)
    )
    return f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{sheets}</sheets></workbook>'


def _links(targets: Sequence[tuple[str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="rId{at}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(targets, start=1)
    )
    return f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'


def _content_types(page_count: int) -> str:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    sheets = "".join(
        f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="{kind}.worksheet+xml"/>'
        for at in range(1, page_count + 1)
    )
    return (
        f'{HEAD}<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/>{sheets}</Types>'
    )
