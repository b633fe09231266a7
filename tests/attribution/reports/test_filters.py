"""Filters: read from a URL, refused with the reason, written back the same."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict

from attribution.reports.filters import FilterError, Filters, parse

AT = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
CENTERS = {"RND": uuid4(), "SALES": uuid4()}


def read(query: str, *, is_narrowed: bool = False, zone: ZoneInfo = PARIS) -> Filters:
    return parse(QueryDict(query), cost_centers=CENTERS, is_narrowed=is_narrowed, zone=zone, at=AT)


def test_without_a_query_the_last_thirty_days_of_the_organization_count() -> None:
    chosen = read("").range

    assert (chosen.first, chosen.last) == (date(2026, 10, 25), date(2026, 11, 23))
    assert chosen.ends_at == datetime(2026, 11, 23, 23, tzinfo=UTC)
    assert len(chosen.days) == 30


def test_today_is_the_day_of_the_organization_and_not_of_utc() -> None:
    assert read("range=today").range.first == date(2026, 11, 23)
    assert read("range=today", zone=ZoneInfo("UTC")).range.first == date(2026, 11, 22)


def test_a_month_reaches_to_its_end_and_until_today_it_stops() -> None:
    chosen = read("range=month").range

    assert (chosen.first, chosen.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert chosen.until(date(2026, 11, 23)).last == date(2026, 11, 23)
    assert chosen.last_days(7).first == date(2026, 11, 24)


def test_a_custom_range_includes_both_of_its_days_over_a_change_of_clocks() -> None:
    chosen = read("range=custom&from=2026-10-24&to=2026-10-25").range

    assert (chosen.ends_at - chosen.starts_at).total_seconds() == 49 * 3600


@pytest.mark.parametrize(
    "query",
    [
        "range=century",
        "range=custom",
        "range=custom&from=2026-02-30&to=2026-03-01",
        "range=custom&from=2026-03-02&to=2026-03-01",
        "range=custom&from=2024-01-01&to=2026-01-01",
        "range=custom&from=1000-01-01&to=1000-01-02",
        "cost_center=THEIRS",
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(query: str) -> None:
    with pytest.raises(FilterError, match=r"^(range|from|to|cost_center): "):
        read(query)


@pytest.mark.parametrize(
    "query",
    [
        "range=30d",
        "range=7d&cost_center=RND&cost_center=SALES",
        "range=custom&from=2026-11-01&to=2026-11-03",
    ],
)
def test_filters_are_written_as_they_were_read(query: str) -> None:
    assert read(query).urlencode() == query


def test_a_person_narrowed_to_a_department_never_sees_everything() -> None:
    narrowed = read("", is_narrowed=True)

    assert narrowed.cost_center_ids == tuple(CENTERS.values())
    assert read("").cost_center_ids is None
    assert read("cost_center=RND", is_narrowed=True).cost_center_ids == (UUID(str(CENTERS["RND"])),)
