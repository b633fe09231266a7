"""Numbers, days and words are read as people meant them, or refused where two things could be meant."""

from datetime import date
from decimal import Decimal

import pytest

from budgets.plans import amounts
from budgets.plans.amounts import CellError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1500", "1500"),
        ("1500.50", "1500.5"),
        ("1,5", "1.5"),
        ("1.5", "1.5"),
        ("1.500", "1.5"),
        ("0,125", "0.125"),
        ("1 500,50", "1500.5"),
        ("1\N{NARROW NO-BREAK SPACE}500", "1500"),
        ("1'500", "1500"),
        ("1,500.50", "1500.5"),
        ("1.500,50", "1500.5"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1,234,567.89", "1234567.89"),
        ("$20", "20"),
        ("20 USD", "20"),
        ("0", "0"),
    ],
)
def test_amounts_are_read_as_they_are_written(written: str, meant: str) -> None:
    assert amounts.amount(written) == Decimal(meant)


@pytest.mark.parametrize(
    "written",
    [
        "1,500",
        "12,000",
        "-5",
        "1,5,0",
        "1.5.0",
        "1,50.5",
        "1.5,0,0",
        "five",
        "",
        "20 €",
        "1e3",
        "Infinity",
        "NaN",
        "0.0000000000001",
        "1000000000000",
        "=1+1",
        "#REF!",
        "١٢",
    ],
)
def test_what_is_no_plain_amount_is_refused(written: str) -> None:
    with pytest.raises(CellError, match="“"):
        amounts.amount(written)


def test_a_group_of_three_behind_one_comma_could_mean_two_things() -> None:
    with pytest.raises(CellError, match=r"1500 or 1\.500"):
        amounts.amount("1,500")


def test_a_number_of_a_spreadsheet_needs_no_reading() -> None:
    assert amounts.amount(Decimal("1500.25")) == Decimal("1500.25")
    with pytest.raises(CellError, match="negative"):
        amounts.amount(Decimal(-1))


def test_days_are_iso_or_what_a_spreadsheet_keeps() -> None:
    assert amounts.day("2027-01-31") == date(2027, 1, 31)
    assert amounts.day("2027-01-31T00:00:00") == date(2027, 1, 31)
    assert amounts.day(Decimal(46388)) == date(2027, 1, 1)
    for wrong in ("01/02/2027", "2027-02-30", Decimal(10) ** 9):
        with pytest.raises(CellError, match="is not a day"):
            amounts.day(wrong)


def test_yes_and_no_are_known_in_three_languages() -> None:
    assert [amounts.yes(said) for said in ("yes", "Oui", "是", "TRUE", "1")] == [True] * 5
    assert [amounts.yes(said) for said in ("no", "non", "否", "FALSE", "")] == [False] * 5
    with pytest.raises(CellError, match="neither"):
        amounts.yes("perhaps")


def test_whole_numbers_stay_within_bounds() -> None:
    assert amounts.whole(Decimal("12.0"), least=1, most=12) == 12
    for wrong in ("0", "13", "1.5", Decimal("0.5")):
        with pytest.raises(CellError, match="whole number"):
            amounts.whole(wrong, least=1, most=12)
