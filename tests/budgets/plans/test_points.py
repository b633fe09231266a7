"""Thresholds in one cell of a sheet come back as they were."""

from decimal import Decimal

import pytest

from budgets.plans import points
from budgets.plans.amounts import CellError, Value


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("80%; 50 %", "50%; 80%"),
        ("80%, 100%,forecast 100%", "80%; 100%; forecast 100%"),
        ("500 USD\n80%", "80%; 500 USD"),
        ("Forecast P90 1500 usd", "forecast p90 1500 USD"),
        ("burn 3x/24h; Burn 1.5 x / 1 h", "burn 1.5x/1h; burn 3x/24h"),
        ("actual 80%; 80.0%", "80%"),
        ("", ""),
        (Decimal("0.8"), "80%"),
        (Decimal(80), "80%"),
    ],
)
def test_a_cell_of_thresholds_has_one_way_of_writing(cell: Value, kept: str) -> None:
    written = points.written(points.read(cell))

    assert set(written.split("; ")) == set(kept.split("; "))
    assert points.written(points.read(written)) == written


@pytest.mark.parametrize(
    "cell",
    [
        "80",
        "80 EUR",
        "often",
        "p90 80%",
        "burn 3x",
        "burn 3x/0h",
        "burn 3x/900h",
        "-5%",
        "%",
        "; ".join(f"{number}%" for number in range(21)),
    ],
)
def test_what_is_no_threshold_is_refused(cell: str) -> None:
    with pytest.raises(CellError):
        points.read(cell)


def test_a_threshold_keeps_what_it_says_through_its_row() -> None:
    for point in points.read("80%; forecast p10 500 USD; burn 3x/24h"):
        assert points.point_of(point.threshold()) == point
