"""Spend: exact sums of rollups, by the organization's own days."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from attribution.isolation.transaction import tenant
from attribution.reports import spend
from attribution.reports.filters import Filters, Range
from tests.rollups import books

pytestmark = pytest.mark.usefixtures("committed")
KOLKATA = ZoneInfo("Asia/Kolkata")
RND, SALES = uuid4(), uuid4()
WEEK = Filters(Range("custom", date(2026, 11, 1), date(2026, 11, 8), KOLKATA))


def test_costs_add_up_exactly_per_day_of_the_organization(owner_dsn: str) -> None:
    with books(owner_dsn, time_zone="Asia/Kolkata") as made:
        evening = datetime(2026, 11, 2, 18, 0, tzinfo=UTC)
        made.rollup(evening, center=RND, cost="0.100000000001", calls=2)
        made.rollup(evening + timedelta(minutes=30), center=RND, cost="0.2")
        made.rollup(evening + timedelta(minutes=30), center=None, cost="7")

    with tenant(made.organization_id):
        rows = spend.by_day(WEEK)

    assert [(row.day.day, row.cost_center_id, row.cost, row.calls) for row in rows] == [
        (2, RND, Decimal("0.100000000001"), 2),
        (3, RND, Decimal("0.200000000000"), 1),
        (3, None, Decimal(7), 1),
    ]
    assert spend.by_cost_center(rows) == {None: Decimal(7), RND: Decimal("0.300000000001")}


def test_a_range_is_half_open_and_facets_do_not_multiply(owner_dsn: str) -> None:
    with books(owner_dsn, time_zone="Asia/Kolkata") as made:
        for bucket in (
            WEEK.range.starts_at,
            WEEK.range.ends_at,
            WEEK.range.starts_at - timedelta(hours=1),
        ):
            made.rollup(bucket, cost="1", tokens=10)
            made.rollup(bucket, facet="user", value="ana", cost="1", tokens=10)

    with tenant(made.organization_id):
        sums = spend.totals(WEEK)

    assert (sums.cost, sums.calls, sums.tokens) == (Decimal(1), 1, 10)


def test_only_the_chosen_cost_centers_count(owner_dsn: str) -> None:
    with books(owner_dsn, time_zone="Asia/Kolkata") as made:
        for center in (RND, SALES, None):
            made.rollup(WEEK.range.starts_at, center=center, cost="1")
    chosen = Filters(WEEK.range, {"RND": RND})

    with tenant(made.organization_id):
        assert spend.totals(chosen).cost == Decimal(1)
        assert spend.totals(WEEK).cost == Decimal(3)


def test_users_come_by_cost_with_their_average_latency(owner_dsn: str) -> None:
    with books(owner_dsn, time_zone="Asia/Kolkata") as made:
        for n in range(25):
            made.rollup(
                WEEK.range.starts_at,
                facet="user",
                value=f"u{n}",
                cost=str(n),
                calls=4,
                waited_ms=10 + n,
            )

    with tenant(made.organization_id):
        rows = spend.top_users(WEEK, limit=20)

    assert [row.user for row in rows] == [f"u{n}" for n in range(24, 4, -1)]
    assert rows[0].latency_ms == Decimal("8.5")


def test_the_figures_of_another_organization_are_not_there(owner_dsn: str) -> None:
    with books(owner_dsn, time_zone="Asia/Kolkata") as theirs:
        theirs.rollup(WEEK.range.starts_at, cost="5")
    with books(owner_dsn, time_zone="Asia/Kolkata") as ours:
        ours.rollup(WEEK.range.starts_at, cost="1")

    with tenant(ours.organization_id):
        assert spend.totals(WEEK).cost == Decimal(1)


def test_without_rows_everything_is_zero_and_lists_are_empty(owner_dsn: str) -> None:
    with books(owner_dsn, time_zone="Asia/Kolkata") as made:
        pass

    with tenant(made.organization_id):
        assert spend.totals(WEEK) == spend.Totals(0, 0, 0, 0, Decimal(0), Decimal(0))
        assert spend.by_day(WEEK) == []
        assert spend.top_users(WEEK, limit=20) == []
