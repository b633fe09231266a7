"""Written spreadsheets are typed, guarded against formulas and equal byte for byte."""

import io
import zipfile
from datetime import date
from decimal import Decimal

from attribution.exports.sheets import Cell
from attribution.exports.workbooks import Page, workbook
from attribution.imports import workbooks


def part(content: bytes, name: str) -> str:
    """Return one file of a workbook."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name).decode()


def test_numbers_are_numbers_and_no_text_is_a_formula() -> None:
    rows: list[list[Cell]] = [
        ['=HYPERLINK("http://x")', Decimal("-5.00"), 7, date(2027, 1, 1), None, "bell\a"]
    ]

    content = workbook([Page("Budgets", list("abcdef"), rows)])
    sheet = part(content, "xl/worksheets/sheet1.xml")
    (cells,) = [line.cells for line in workbooks.read(content).lines[1:]]

    assert "<f>" not in sheet
    assert '<c r="B2"><v>-5.00</v></c>' in sheet
    assert '<c r="C2"><v>7</v></c>' in sheet
    assert cells == {
        0: '\'=HYPERLINK("http://x")',
        1: Decimal(-5),
        2: Decimal(7),
        3: "2027-01-01",
        5: "bell\N{REPLACEMENT CHARACTER}",
    }


def test_equal_pages_give_equal_bytes_and_offer_what_may_be_chosen() -> None:
    page = Page("A & B", ["mode"], [["warn"]], choices=[(0, ["observe", "warn"])])

    assert workbook([page]) == workbook([page])
    assert '<formula1>"observe,warn"</formula1>' in part(
        workbook([page]), "xl/worksheets/sheet1.xml"
    )
    assert 'name="A &amp; B"' in part(workbook([page]), "xl/workbook.xml")
