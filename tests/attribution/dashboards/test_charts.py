"""Charts: the drawing and the table carry the same exact numbers."""

from datetime import date
from decimal import Decimal

from attribution.dashboards import charts
from attribution.dashboards.charts import Chart, Column, Kind, Series, Shape, Table


def chart(*series: Series) -> Chart:
    table = Table((Column("day", "Day", Kind.DAY),), ((date(2026, 11, 1),),))
    return Chart("daily", "Cost", "USD", Shape.STACKED, ("1 Nov",), series, table)


def test_amounts_reach_the_browser_as_decimal_strings() -> None:
    payload = chart(Series("RND", (Decimal("0.100000000001"), None), "1")).payload

    assert payload["series"][0]["values"] == ["0.100000000001", None]


def test_a_chart_of_nothing_but_zeros_is_empty() -> None:
    assert chart(Series("RND", (Decimal(0), None))).is_empty
    assert not chart(Series("RND", (Decimal("0.000001"),))).is_empty


def test_the_first_eight_keys_have_hues_and_the_rest_is_grey() -> None:
    hues = charts.hues(range(10))

    assert list(hues.values()) == ["1", "2", "3", "4", "5", "6", "7", "8", "other", "other"]


def test_weekends_are_found_by_position() -> None:
    assert charts.weekends([date(2026, 11, n) for n in (20, 21, 22, 23)]) == (1, 2)


def test_a_table_names_its_columns_in_files_and_pairs_cells_on_pages() -> None:
    table = Table((Column("cost_usd", "Cost", Kind.MONEY),), ((Decimal(1),),), (Decimal(1),))

    assert table.header == ["cost_usd"]
    assert table.body == [[(table.columns[0], Decimal(1))]]
    assert table.foot == [(table.columns[0], Decimal(1))]
    assert table.columns[0].is_number
