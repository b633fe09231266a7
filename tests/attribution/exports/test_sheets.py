"""CSV files: exact numbers, ISO instants, no formula in any cell of text."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.exports import sheets

FULL_WIDTH = "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", *FULL_WIDTH])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str) -> None:
    assert sheets.cell(f"{start}SUM(A1)") == f"'{start}SUM(A1)"


def test_a_negative_amount_stays_a_number() -> None:
    assert sheets.cell(Decimal("-1.500000000000")) == "-1.5"


def test_unknown_is_an_empty_cell_and_never_zero() -> None:
    assert sheets.cell(None) == ""
    assert sheets.cell(Decimal(0)) == "0"


def test_days_and_instants_are_written_as_iso() -> None:
    assert sheets.cell(date(2026, 11, 2)) == "2026-11-02"
    assert sheets.cell(datetime(2026, 11, 2, 3, 4, 5, tzinfo=UTC)) == "2026-11-02T03:04:05+00:00"


def test_a_header_made_of_names_is_guarded_too() -> None:
    assert next(sheets.csv_lines(["=cmd"], [])) == "'=cmd\r\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_every_text_survives_the_way_through_a_file(texts: list[str]) -> None:
    rows = [["-", text] for text in texts]

    written = "".join(sheets.csv_lines(["kind", "text"], rows))

    read = list(csv.reader(io.StringIO(written, newline="")))
    assert [row[1] for row in read[1:]] == [sheets.guarded(text) for text in texts]
