"""Costs as JSON: what the API says is what the reports say, and what the ledger sums to."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.prices.tokens import CLASSES
from attribution.reports import spend
from attribution.reports.filters import Filters, span
from attribution.tenancy.models import Role
from tests.attribution.reports.house import CENTERS, COSTS, DAYS, SUMMARY, House
from tests.factories import make_user

pytestmark = pytest.mark.usefixtures("committed")
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu")
GROUPS = (
    *("cost_center,model", "model", "user", "feature,cost_center", "provider,model", "path"),
    *("user,model", "department,feature,model"),
)
DAILY = {"user", "path", "prompt"}  # of which no hours are kept


@pytest.fixture(scope="module")
def houses(django_db_blocker: Any) -> dict[str, House]:
    """Give an organization in each of three time zones."""
    with django_db_blocker.unblock():
        return {zone: House(zone, seed=number) for number, zone in enumerate(ZONES)}


LEDGER = (
    "SELECT coalesce(sum(usd_amount), 0), count(DISTINCT call_id), coalesce(sum(quantity), 0)"
    " FROM v1_ledger WHERE organization_id = %(organization)s"
    " AND occurred_at >= %(start)s AND occurred_at < %(end)s"
    " AND (%(centers)s::uuid[] IS NULL OR cost_center_id = ANY (%(centers)s))"
)


def ledger(dsn: str, house: House, filters: Filters) -> tuple[Decimal, int, Decimal]:
    """Sum the read contract over the same calls."""
    ids = filters.cost_center_ids
    values = {
        "organization": house.organization.pk,
        "start": filters.range.starts_at,
        "end": filters.range.ends_at,
        "centers": None if ids is None else list(ids),
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(LEDGER, values).fetchone()
    assert row is not None
    return row


def leaves(breakdown: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures at the ends of a nested breakdown."""
    if "cost_usd" in breakdown:
        return [breakdown]
    return [leaf for inner in breakdown.values() for leaf in leaves(inner)]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    zone=st.sampled_from(ZONES),
    ends=st.tuples(st.integers(0, DAYS), st.integers(0, DAYS)),
    codes=st.lists(st.sampled_from(CENTERS), unique=True),
    shape=st.tuples(st.sampled_from(GROUPS), st.sampled_from(["", "hour", "day", "month"])).filter(
        lambda shape: shape[1] != "hour" or not DAILY & set(shape[0].split(","))
    ),
)
def test_the_api_the_reports_and_the_ledger_say_the_same(
    houses: dict[str, House],
    platform_dsn: str,
    zone: str,
    ends: tuple[int, int],
    codes: list[str],
    shape: tuple[str, str],
) -> None:
    house, (group, interval) = houses[zone], shape
    first, last = (house.today - timedelta(days=n) for n in (max(ends), min(ends)))
    chosen = span(str(first), str(last), zone=house.zone, at=timezone.now())
    filters = Filters(chosen, {code: house.centers[code].pk for code in codes} or None)
    wanted = "".join(f"&cost_center={code}" for code in codes)

    told = house.told(
        COSTS, f"start={first}&end={last}&group_by={group}&interval={interval}{wanted}"
    )
    rows = house.told(SUMMARY, f"start_date={first}&end_date={last}{wanted}")["data"]

    with tenant(house.organization.pk):
        reported = spend.totals(filters)
    cost, calls, tokens = ledger(platform_dsn, house, filters)
    parts = leaves(told["breakdown"])
    assert Decimal(told["total"]["cost_usd"]) == reported.cost == cost
    assert sum(Decimal(part["cost_usd"]) for part in parts) == cost
    assert sum(Decimal(row["cost_usd"]) for row in rows) == cost
    assert told["total"]["requests"] == reported.calls == calls
    assert sum(part["requests"] for part in parts) == calls
    assert sum(part["total_tokens"] for part in parts) == reported.tokens == tokens
    assert told["total"]["unpriced_requests"] == reported.unpriced_calls
    if interval:
        series = [point for part in parts for point in part["series"]]
        assert sum(Decimal(point["cost_usd"]) for point in series) == cost
        assert sum(point["requests"] for point in series) == calls


def test_groups_are_nested_and_the_dearest_stand_first(houses: dict[str, House]) -> None:
    told = houses["UTC"].told(query="start=2026-01-01&end=2026-01-02")
    full = houses["UTC"].told()

    assert told["breakdown"] == {}
    assert set(full["breakdown"]) == {*CENTERS, ""}
    outer = [
        sum(Decimal(leaf["cost_usd"]) for leaf in leaves(part))
        for part in full["breakdown"].values()
    ]
    inner = [Decimal(leaf["cost_usd"]) for leaf in full["breakdown"]["ALPHA"].values()]
    assert outer == sorted(outer, reverse=True)
    assert inner == sorted(inner, reverse=True)


def test_figures_have_cost_per_million_tokens_and_percentiles(houses: dict[str, House]) -> None:
    total = houses["UTC"].told()["total"]

    price = Decimal(total["cost_usd"]) / total["total_tokens"] * 1_000_000
    assert abs(Decimal(total["cost_per_million_tokens_usd"]) - price) <= Decimal("1e-12")
    assert set(total["tokens"]) == set(CLASSES)
    p50, p95 = (Decimal(total["latency_ms"][name]) for name in ("p50", "p95"))
    assert 20_000 < p50 < 40_000 < p95 < 62_000
    assert all(isinstance(value, str) for value in total["latency_ms"].values())


def test_an_instant_is_exact_and_half_open(houses: dict[str, House], platform_dsn: str) -> None:
    house = houses["Asia/Kathmandu"]
    noon = datetime.combine(house.today - timedelta(days=9), datetime.min.time(), UTC)
    start, end = noon.replace(hour=12), noon.replace(hour=15) + timedelta(days=3)

    told = house.told(query=f"start={start:%Y-%m-%dT%H:00Z}&end={end:%Y-%m-%dT%H:00}:00+00:00")

    chosen = span(start.isoformat(), end.isoformat(), zone=house.zone, at=timezone.now())
    cost, calls, _tokens = ledger(platform_dsn, house, Filters(chosen))
    assert calls
    assert (Decimal(told["total"]["cost_usd"]), told["total"]["requests"]) == (cost, calls)
    assert told["start"] == start.isoformat()


def test_values_of_a_dimension_can_be_chosen(houses: dict[str, House]) -> None:
    house = houses["UTC"]

    every = house.told(query="group_by=model")["breakdown"]
    two = house.told(query="group_by=cost_center&model=m-1&model=m-2")

    wanted = sum(Decimal(every[name]["cost_usd"]) for name in ("m-1", "m-2"))
    assert Decimal(two["total"]["cost_usd"]) == wanted
    assert sum(Decimal(leaf["cost_usd"]) for leaf in leaves(two["breakdown"])) == wanted


def test_a_key_sees_the_cost_centers_it_may_book_to(houses: dict[str, House]) -> None:
    house = houses["UTC"]
    pinned = house.key(cost_center=house.centers["ALPHA"], is_cost_center_pinned=True)
    listed = house.key(allowed_cost_centers=["BETA", "GAMMA"])
    every = house.told(query="group_by=cost_center")["breakdown"]

    one = json.loads(house.ask(query="group_by=cost_center", token=pinned).content)
    two = json.loads(house.ask(query="group_by=cost_center", token=listed).content)
    refused = house.ask(query="cost_center=ALPHA", token=listed)

    assert one["breakdown"] == {"ALPHA": every["ALPHA"]}
    assert one["total"]["cost_usd"] == every["ALPHA"]["cost_usd"]
    assert one["cost_centers"] == ["ALPHA"]
    assert set(two["breakdown"]) == {"BETA", "GAMMA"}
    assert (refused.status_code, code_of(refused)) == (400, "invalid_filter")
    assert house.ask(token=house.key(scopes=["call"])).status_code == 403


def test_a_key_pinned_to_nothing_sees_nothing(houses: dict[str, House]) -> None:
    house = houses["UTC"]

    told = json.loads(house.ask(token=house.key(is_cost_center_pinned=True)).content)

    assert (told["breakdown"], told["total"]["requests"], told["cost_centers"]) == ({}, 0, [])


def test_a_person_sees_what_their_pages_show(houses: dict[str, House]) -> None:
    house = houses["UTC"]
    every = house.told(query="group_by=cost_center")

    auditor = house.person(Role.AUDITOR).get(COSTS, {"group_by": "cost_center"})
    narrowed = house.person(Role.MANAGER, is_narrowed=True).get(COSTS, {"group_by": "cost_center"})
    summary = house.person(Role.MANAGER, is_narrowed=True).get(SUMMARY)

    assert auditor.json()["breakdown"] == every["breakdown"]
    assert narrowed.json()["breakdown"] == {"ALPHA": every["breakdown"]["ALPHA"]}
    assert {row["cost_center"] for row in summary.json()["data"]} == {"ALPHA"}


def test_nobody_else_sees_anything(houses: dict[str, House]) -> None:
    ours, theirs = houses["UTC"], houses["America/New_York"]
    stranger = Client()
    stranger.force_login(make_user())

    unknown = [Client().get(path) for path in (COSTS, SUMMARY)]
    foreign = theirs.told(query="group_by=cost_center")

    assert [(one.status_code, code_of(one)) for one in unknown] == [(401, "invalid_api_key")] * 2
    assert stranger.get(COSTS).status_code == 403
    assert foreign["total"] != ours.told()["total"]


def code_of(answer: Any) -> str:
    """Return the code of a refusal."""
    return str(json.loads(answer.content)["error"]["code"])


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("start=yesterday", "start"),
        ("start=2026-02-30", "start"),
        ("start=2026-03-02&end=2026-03-01", "start"),
        ("start=2020-01-01&end=2026-01-01", "end"),
        ("start=2026-03-01T10:30Z", "start"),
        ("start=0001-01-01T00:00-23:00", "start"),
        ("end=9999-12-31", "end"),
        ("group_by=colour", "group_by"),
        ("group_by=model,model", "group_by"),
        ("group_by=user,feature", "group_by"),
        ("group_by=user&feature=chat", "group_by"),
        ("interval=week", "interval"),
        ("cost_center=NOWHERE", "cost_center"),
        ("models=m-1", "models"),
        ("start=2026-01-01&start=2026-01-02", "start"),
        ("model=%00", "model"),
        ("model=" + "x" * 300, "model"),
    ],
)
def test_what_cannot_be_meant_is_named(houses: dict[str, House], query: str, param: str) -> None:
    answer = houses["UTC"].ask(query=query)

    error = json.loads(answer.content)["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_filter", param)


def test_the_summary_names_its_own_parameters(houses: dict[str, House]) -> None:
    house = houses["UTC"]

    answer = house.ask(SUMMARY, "start_date=soon")
    rows = house.told(SUMMARY)["data"]

    assert json.loads(answer.content)["error"]["param"] == "start_date"
    assert {row["cost_center"] for row in rows} == {*CENTERS, None}
    assert rows[0]["prompt_tokens"] + rows[0]["completion_tokens"] == rows[0]["total_tokens"]
    costs = [Decimal(row["cost_usd"]) for row in rows]
    assert costs == sorted(costs, reverse=True)


def test_a_call_reported_now_is_in_the_figures_after_the_next_fold(
    houses: dict[str, House],
) -> None:
    house = houses["UTC"]
    before = house.told(query="group_by=feature&feature=fresh")
    body = {"source": "t", "event_id": "fresh", "occurred_at": timezone.now().isoformat()}
    call = {**body, "model": "m-1", "feature": "fresh", "cost_usd": "0.5"}

    answer = Client().post(
        "/v1/usage",
        json.dumps(call),
        content_type="application/json",
        headers={"x-api-key": house.token},
    )
    rollups.advance()

    after = house.told(query="group_by=feature&feature=fresh")
    assert str(UUID(answer.json()["events"][0]["call_id"]))
    assert before["breakdown"] == {}
    assert after["breakdown"]["fresh"]["cost_usd"] == "0.5"
