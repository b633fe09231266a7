"""Budgets as files: the template to fill in and the export are one thing, so what leaves comes back."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from django.utils.translation import gettext

from attribution.exports.sheets import Cell, csv_lines
from attribution.exports.workbooks import Page, workbook
from budgets.plans.fields import COLUMNS, FIELDS, NOTE, Facts
from budgets.plans.steps import EXAMPLE

BOM = "\ufeff"  # by it spreadsheets know that a CSV is UTF-8


def as_csv(rows: Iterable[Facts], *, has_example: bool = False) -> str:
    """Write budgets as a CSV file."""
    return BOM + "".join(csv_lines(COLUMNS, _cells(rows, has_example=has_example)))


def as_xlsx(rows: Iterable[Facts], *, has_example: bool = False) -> bytes:
    """Write budgets as an XLSX file, with a second sheet that explains the columns."""
    choices = [(COLUMNS.index(field.name), field.choices) for field in FIELDS if field.choices]
    explained: list[Sequence[Cell]] = [
        (field.name, str(field.help), field.example, ", ".join(field.choices)) for field in FIELDS
    ]
    explained.append((NOTE, gettext("Kept with the limit and in the audit log."), "", ""))
    heading = [gettext("Column"), gettext("What stands there"), gettext("Example")]
    cells = _cells(rows, has_example=has_example)
    pages = [
        Page(gettext("Budgets"), COLUMNS, cells, choices),
        Page(gettext("Columns"), [*heading, gettext("Known values")], explained),
    ]
    return workbook(pages)


def _cells(rows: Iterable[Facts], *, has_example: bool) -> Iterator[list[Cell]]:
    if has_example:
        yield _row({field.name: field.example for field in FIELDS} | {"name": _example()})
    for facts in rows:
        yield _row(facts)


def _example() -> str:
    return f"{EXAMPLE}: {FIELDS[0].example}"


def _row(facts: Facts) -> list[Cell]:
    return [*(_cell(field.name, facts[field.name]) for field in FIELDS), ""]


def _cell(name: str, said: str) -> Cell:
    """Return a typed cell: amounts and counts are numbers to a spreadsheet."""
    if name == "limit_usd" and said:
        return Decimal(said)
    return int(said) if name == "wait_ms" and said else said
