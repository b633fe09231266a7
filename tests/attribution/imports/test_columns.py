"""Files of calls, read through a mapping."""

from datetime import UTC, datetime

import pytest

from attribution.imports import columns
from attribution.imports.columns import Layout, MappingError, RowError

LAYOUT = Layout({"timestamp": "TIMESTAMP", "input": "ContextTokens"}, {"model": "gpt-4.1"})
HEAD = "TIMESTAMP,ContextTokens\r\n"


def names(text: str, layout: Layout = LAYOUT) -> list[str]:
    return [row.name for row in columns.read(text.splitlines(keepends=True), layout)]


def test_a_row_has_its_cells_and_what_is_fixed() -> None:
    (row,) = columns.read([HEAD, "2023-11-16 18:15:46.6805900,374"], LAYOUT)

    assert dict(row.values) == {
        "timestamp": "2023-11-16 18:15:46.6805900",
        "input": "374",
        "model": "gpt-4.1",
    }
    assert row.line == 2


def test_a_name_follows_from_the_row_and_not_from_its_place_or_line_ends() -> None:
    forwards = names(f"{HEAD}a,1\r\nb,2\r\n")
    backwards = names("TIMESTAMP,ContextTokens\nb,2\na,1")

    assert forwards == backwards[::-1]


def test_equal_rows_stay_apart_and_keep_their_names() -> None:
    twice = names(f"{HEAD}a,1\r\na,1\r\n")

    assert len(set(twice)) == 2
    assert names(f"{HEAD}a,1\r\nx,9\r\na,1\r\n")[::2] == twice


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2023-11-16 18:15:46.6805900", "UTC", datetime(2023, 11, 16, 18, 15, 46, 680590, UTC)),
        ("2023-11-16T18:15:46Z", "Asia/Tokyo", datetime(2023, 11, 16, 18, 15, 46, 0, UTC)),
        ("2023-11-16 18:15+02:00", "UTC", datetime(2023, 11, 16, 16, 15, 0, 0, UTC)),
        ("2023-11-16 18:15:46", "Europe/Paris", datetime(2023, 11, 16, 17, 15, 46, 0, UTC)),
    ],
)
def test_times_are_read_to_the_microsecond_in_their_zone(
    text: str, zone: str, expected: datetime
) -> None:
    assert columns.instant(text, zone) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2023-02-30 10:00:00", "1700000000"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(RowError, match="timestamp"):
        columns.instant(text, "UTC")


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", "many", "٣"])
def test_what_is_no_count_is_named(text: str) -> None:
    with pytest.raises(RowError, match="input"):
        columns.whole("input", text)


def test_a_mapping_needs_time_and_model() -> None:
    with pytest.raises(MappingError, match="model is not given"):
        Layout({"timestamp": "T"})


def test_a_mapping_refuses_unknown_fields_and_columns() -> None:
    with pytest.raises(MappingError, match="unknown field colour"):
        Layout({"timestamp": "T"}, {"model": "m", "colour": "red"})
    with pytest.raises(MappingError, match="no column ContextTokens"):
        list(columns.read(["TIMESTAMP,Other"], LAYOUT))
