"""Latency: a percentile read from the histogram is at most 2 % away from the one of all calls."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.isolation.transaction import tenant
from attribution.reports import latency
from attribution.reports.filters import Filters, Range
from tests.rollups import books

WEEK = Filters(Range("custom", date(2026, 11, 1), date(2026, 11, 8), ZoneInfo("UTC")))
QUARTER = Filters(Range("custom", date(2026, 9, 1), date(2026, 12, 1), ZoneInfo("UTC")))
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@given(st.integers(min_value=2, max_value=3_600_000))
def test_the_middle_of_a_step_is_within_two_percent_of_every_latency_in_it(ms: int) -> None:
    step = math.ceil(round(math.log(ms) / math.log(1.04), 9))

    assert abs(latency.middle(step) / ms - 1) <= Decimal("0.02")


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("calls", [1, 2, 19, 20, 21, 997])
def test_p95_is_the_nearest_rank_within_two_percent(owner_dsn: str, calls: int) -> None:
    dice = random.Random(calls)  # noqa: S311 -- plausible durations, no secret
    durations = [int(dice.lognormvariate(6.5, 0.8)) + 2 for _ in range(calls)]
    with books(owner_dsn) as made:
        made.latencies(NOON, durations)

    with tenant(made.organization_id):
        (row,) = latency.by_model(WEEK, models=4)

    exact = sorted(durations)[math.ceil(calls * 0.95) - 1]
    assert row.p95_ms is not None
    assert abs(row.p95_ms / exact - 1) <= Decimal("0.021")
    assert row.average_ms == Decimal(sum(durations)) / calls
    assert row.calls == calls


@pytest.mark.usefixtures("committed")
def test_hours_stay_apart_and_a_long_range_merges_them_into_days(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.latencies(NOON, [100] * 100)
        made.latencies(NOON + timedelta(hours=1), [1000] * 300)

    with tenant(made.organization_id):
        hours = latency.by_model(WEEK, models=4)
        days = latency.by_model(QUARTER, models=4)

    assert [(row.starts_at, row.calls) for row in hours] == [
        (NOON, 100),
        (NOON + timedelta(hours=1), 300),
    ]
    assert [row.calls for row in days] == [400]
    assert days[0].average_ms == Decimal(775)
    assert days[0].p95_ms is not None
    assert 980 < days[0].p95_ms < 1020


@pytest.mark.usefixtures("committed")
def test_only_the_most_called_models_are_shown(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        for n in range(1, 7):
            made.latencies(NOON, [50] * n, model=f"model-{n}")

    with tenant(made.organization_id):
        rows = latency.by_model(WEEK, models=4)

    assert {row.model for row in rows} == {"model-3", "model-4", "model-5", "model-6"}
