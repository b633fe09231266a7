"""Uploaded tables are read as cells, whatever spreadsheet wrote them; hostile ones are refused."""

import io
import zipfile
from decimal import Decimal

import pytest

from attribution.exports.workbooks import Page, workbook
from attribution.imports import workbooks
from attribution.imports.workbooks import WorkbookError

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    f'<Override PartName="/xl/workbook.xml" ContentType="{KIND}.sheet.main+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{KIND}.sharedStrings+xml"/></Types>'
)
LINKS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="/xl/worksheets/a.xml"/>'
    f'<Relationship Id="rId2" Type="{OFFICE}/worksheet" Target="worksheets/b.xml"/></Relationships>'
)
SHEETS = (
    f'<x:workbook xmlns:x="{MAIN}" xmlns:r="{OFFICE}"><x:sheets>'
    '<x:sheet name="notes" sheetId="1" state="hidden" r:id="rId2"/>'
    '<x:sheet name="data" sheetId="2" r:id="rId1"/></x:sheets></x:workbook>'
)
STRINGS = (
    f'<sst xmlns="{MAIN}"><si><t>plain</t></si><si><r><t>ri</t></r><r><t>ch</t></r>'
    '<rPh sb="0" eb="1"><t>spoken</t></rPh></si></sst>'
)


def packed(sheet: str, **parts: str) -> bytes:
    """Return an XLSX file around the markup of one sheet."""
    files = {
        "[Content_Types].xml": TYPES,
        "xl/workbook.xml": SHEETS,
        "xl/_rels/workbook.xml.rels": LINKS,
        "xl/sharedStrings.xml": STRINGS,
        "xl/worksheets/a.xml": sheet,
        **parts,
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return written.getvalue()


def rows(*cells: str) -> str:
    """Return the markup of a sheet with one row for each text of cells."""
    body = "".join(f'<row r="{at}">{one}</row>' for at, one in enumerate(cells, start=1))
    return f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'


def test_cells_of_every_type_come_as_text_or_exact_numbers() -> None:
    sheet = rows(
        '<c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="AA1" t="b"><v>1</v></c>',
        '<c r="A2"><v>19.989999999999998</v></c><c r="B2"><v>1.5E3</v></c><c r="C2" t="e"><v>#REF!</v></c>',
        '<c r="A3"/>',
        '<c r="A4"><f>1+1</f><v>2</v></c><c r="B4"><f>B1*2</f></c>',
    )

    table = workbooks.read(packed(sheet))

    assert table.read_as == "xlsx"
    assert [(line.number, dict(line.cells)) for line in table.lines] == [
        (1, {0: "plain", 1: "rich", 26: "TRUE"}),
        (2, {0: Decimal("19.99"), 1: Decimal(1500), 2: "#REF!"}),
        (4, {0: Decimal(2), 1: "=B1*2"}),
    ]


def test_what_we_write_we_read() -> None:
    page = Page("Budgets", ["name", "limit"], [["Coûts 数 <&>", Decimal("0.125")], ["=x", None]])

    table = workbooks.read(workbook([page, Page("Help", ["a"], [["b"]])]))

    assert [dict(line.cells) for line in table.lines] == [
        {0: "name", 1: "limit"},
        {0: "Coûts 数 <&>", 1: Decimal("0.125")},
        {0: "'=x"},
    ]


@pytest.mark.parametrize(
    ("content", "fallback", "read_as", "cell"),
    [
        ("name,limit\r\nCoûts,5\r\n".encode(), "cp1252", "utf-8", "Coûts"),
        ("\ufeffname;limit\nCoûts;1,5\n".encode(), "cp1252", "utf-8", "Coûts"),
        ("name\tlimit\nCoûts\t5\n".encode("utf-16"), "cp1252", "utf-16", "Coûts"),
        ("name;limit\nCoûts;5\n".encode("cp1252"), "cp1252", "cp1252", "Coûts"),
        ("名称,限额\n市场部,5\n".encode("gb18030"), "gb18030", "gb18030", "市场部"),
    ],
)
def test_a_csv_is_read_in_its_encoding(
    content: bytes, fallback: str, read_as: str, cell: str
) -> None:
    table = workbooks.read(content, fallback=fallback)

    assert (table.read_as, table.lines[1].cells[0]) == (read_as, cell)
    assert len(table.lines[1].cells) == 2


def test_a_cell_over_two_lines_keeps_the_numbers_of_the_lines() -> None:
    table = workbooks.read(b'name,limit\n\n"two\nlines",5\nnext,6\n')

    assert [line.number for line in table.lines] == [1, 4, 5]


def bomb() -> bytes:
    """Return an XLSX file that unpacks to more than it should."""
    return packed(rows("<c><v>1</v></c>") + " " * (workbooks.MOST_UNPACKED + 1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xd0\xcf\x11\xe0 old", "old_format"),
        (b"PK\x03\x04 cut", "broken"),
        (packed("<worksheet><row>"), "broken"),
        (packed(rows('<c t="s"><v>9</v></c>')), "broken"),
        (packed(rows("<c><v>one</v></c>")), "broken"),
        (packed(rows('<c r="ZZ1"><v>1</v></c>')), "too_many_columns"),
        (b"a" * (workbooks.MOST_BYTES + 1), "too_big"),
        (b"name\n" + b"x\n" * 10_001, "too_many_rows"),
        (b"\xff\x00\x00\x00", "unknown_encoding"),
        (b"name\0", "unknown_encoding"),
        ("名称".encode("gb18030") + b"\x81", "unknown_encoding"),
        (b'name\n"' + b"x" * 200_000 + b'"\n', "broken"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(WorkbookError) as refused:
        workbooks.read(content, fallback="gb18030")

    assert refused.value.args == (reason,)


def test_a_file_that_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(WorkbookError, match="too_big"):
        workbooks.read(bomb())


def test_entities_are_refused_before_they_multiply() -> None:
    declared = '<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    sheet = rows('<c t="str"><v>&b;</v></c>')

    with pytest.raises(WorkbookError, match="broken"):
        workbooks.read(packed(declared + sheet))


def test_another_office_format_is_told_apart() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("content.xml", "<office/>")

    with pytest.raises(WorkbookError, match="other_format"):
        workbooks.read(written.getvalue())


def test_columns_are_called_as_in_a_spreadsheet() -> None:
    assert [workbooks.letters(at) for at in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]
