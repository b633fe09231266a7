"""Tries of one call: only what is provably unbilled, in order, under one hold and one deadline."""

import asyncio
import time
from typing import Any

import pytest

from attribution.isolation.transaction import tenant
from gateway.proxy.upstream import breaker
from gateway.routes.models import Route
from gateway.upstreams.models import Upstream
from tests import factories
from tests.gateway.proxy.faults.conftest import Play
from tests.gateway.proxy.faults.recordings import CHAT
from tests.gateway.proxy.faults.stage import Stage, make_price, make_upstreams
from tests.gateway.running import House, aside, free_port

ROUTE = "way-openai_compatible"


def make_route(house: House, *ports: int, **columns: Any) -> list[Upstream]:
    """Add a route that leads to a provider on each port, in this order."""
    with tenant(house.id):
        upstreams = [
            factories.make_upstream(
                kind="openai_compatible",
                provider="fake",
                base_url=f"http://127.0.0.1:{port}/v1",
                is_error_unbilled=True,
                **columns,
            )
            for port in ports
        ]
        route = Route.objects.create(name=ROUTE)
        for position, upstream in enumerate(upstreams):
            route.targets.create(
                organization_id=house.id,
                upstream=upstream,
                provider_model=ROUTE,
                position=position,
            )
        make_price(ROUTE)
    return upstreams


async def the_record(stage: Stage) -> dict[str, Any]:
    """Return the one record, with the books in order."""
    [record] = (await stage.records()).values()
    await stage.verify()
    return record


async def test_the_next_target_is_asked_at_once_under_the_same_hold(
    house: House, play: Play
) -> None:
    _, second = await aside(lambda: make_route(house, house.port, house.port))

    async with play(house) as stage:
        began = time.monotonic()
        answer = await stage.ask(CHAT, "@fault=status @status=429 @times=1 @after=60", way="way-")
        took = time.monotonic() - began
        record = await the_record(stage)
        attempts = await stage.client.rows(
            "SELECT n, status, upstream_id FROM attempt WHERE organization_id = %s"
        )

    assert answer.status == 200
    assert took < 8
    assert (record["state"], record["attempts"]) == ("settled", 2)
    assert [(row["n"], row["status"]) for row in attempts] == [(1, 429)]
    assert attempts[0]["upstream_id"] != second.pk


async def test_every_target_gets_its_try(house: House, play: Play) -> None:
    ports = [free_port() for _ in range(4)]
    await aside(lambda: make_route(house, *ports, house.port))
    egress = tuple(f"127.0.0.1:{port}" for port in ports)

    async with play(house, egress=egress) as stage:
        answer = await stage.ask(CHAT, "hi", way="way-")
        record = await the_record(stage)

    assert answer.status == 200
    assert (record["state"], record["attempts"]) == ("settled", 5)


@pytest.mark.parametrize(
    ("wish", "least"), [("@after=1", 1.0), ("@date=3", 1.5), ("@after=0", 0.1), ("", 0.1)]
)
async def test_a_provider_is_asked_again_when_it_wants(
    house: House, play: Play, wish: str, least: float
) -> None:
    async with play(house) as stage:
        answer = await stage.ask(CHAT, f"@fault=status @status=429 @times=1 {wish}")
        first, again = stage.faulty.heard

    assert answer.status == 200
    assert least <= again.at - first.at < 10


async def test_no_wait_goes_beyond_the_deadline_of_the_call(house: House, play: Play) -> None:
    await aside(make_upstreams, house=house, way="hasty-", total_timeout_s=5)

    async with play(house) as stage:
        answer = await stage.ask(CHAT, "@fault=status @status=429 @after=3", way="hasty-")
        record = await the_record(stage)

    assert (answer.status, answer.headers["retry-after"]) == (429, "3")
    assert (record["state"], record["attempts"]) == ("released", 2)


async def test_all_tries_share_one_deadline(house: House, play: Play) -> None:
    await aside(make_upstreams, house=house, way="hasty-", total_timeout_s=5)

    async with play(house) as stage:
        began = time.monotonic()
        wish = "@fault=status @status=429 @times=1 @after=3 @then=silent"
        answer = await stage.ask(CHAT, wish, way="hasty-")
        took = time.monotonic() - began
        record = await the_record(stage)

    assert answer.status == 504
    assert took < 5 + 3
    assert (record["state"], record["attempts"]) == ("uncertain", 2)


async def test_a_request_on_a_kept_connection_that_breaks_is_not_repeated(
    house: House, play: Play
) -> None:
    async with play(house) as stage:
        first = await stage.ask(CHAT, "@fault=stale @how=later")
        second = await stage.ask(CHAT, "@fault=stale @how=later")
        records = await stage.records()
        await stage.verify()

    assert [request.on_connection for request in stage.faulty.heard] == [1, 2]
    assert (first.status, second.status) == (200, 502)
    assert (records[second.id]["state"], records[second.id]["attempts"]) == ("uncertain", 1)


async def test_an_upstream_that_keeps_failing_is_left_alone_and_then_probed_by_one_call(
    house: House, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "REST", 2.0)

    async with play(house) as stage:
        for _ in range(breaker.FAILURES):
            assert (await stage.ask(CHAT, "@fault=status @status=500")).status == 500
        alone = await stage.ask(CHAT, "hi @case=alone")
        await asyncio.sleep(2.1)
        slow = "@fault=slow @wait=1 @case=probe"
        probes = await asyncio.gather(*[stage.ask(CHAT, slow) for _ in range(3)])
        after = await stage.ask(CHAT, "hi @case=after")
        records = await stage.records()
        await stage.verify()

    assert (alone.status, alone.code("openai")) == (502, "upstream_unreachable")
    assert (records[alone.id]["state"], records[alone.id]["attempts"]) == ("released", 0)
    assert sorted(answer.status for answer in probes) == [200, 502, 502]
    assert after.status == 200
    assert [len(stage.faulty.of(case)) for case in ("alone", "probe", "after")] == [0, 1, 1]


async def test_a_resting_upstream_leaves_its_calls_to_the_next_target(
    house: House, play: Play
) -> None:
    await aside(lambda: make_route(house, house.port, house.port))

    async with play(house) as stage:
        for _ in range(breaker.FAILURES):
            await stage.ask(CHAT, "@fault=status @status=500", way="way-")
        answer = await stage.ask(CHAT, "hi @case=next", way="way-")
        attempts = (await stage.records())[answer.id]["attempts"]

    assert (answer.status, attempts) == (200, 1)
    assert len(stage.faulty.of("next")) == 1
