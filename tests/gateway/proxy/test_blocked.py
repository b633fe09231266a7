"""The kill switch at the front door: what is blocked is refused by name, in every process, at once."""

import asyncio
import json
import time
from typing import Any

import httpx
import psycopg
import pytest
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.tenancy import blocks, policy
from attribution.tenancy.blocks import Target
from attribution.tenancy.models import Block, BlockedKind
from gateway.keys import keyring
from gateway.live import readers
from gateway.live.readers import RefusedError
from gateway.proxy.bridge import notices
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import Client, House, aside, asked

SOON = 5.0  # seconds; what is promised is one, on a machine that has time


def target(house: House, kind: str) -> Target:
    """Return what is blocked."""
    found = {
        "organization": (house.id, "Acme"),
        "cost_center": (house.center.pk, house.center.code),
        "api_key": (house.key.lineage, house.key.name),
    }
    return Target(BlockedKind(kind), *found[kind])


def throw(*, house: House, kind: str, is_cut: bool = False) -> Block:
    """Throw the kill switch."""
    at = timezone.now()
    return blocks.impose(target(house, kind), reason="It leaked", is_cut=is_cut, by=SYSTEM, at=at)


async def block(house: House, kind: str, *, is_cut: bool = False) -> Block:
    """Throw the kill switch as a page does, in its own transaction."""
    made: Block = await house.make(throw, house=house, kind=kind, is_cut=is_cut)
    return made


@pytest.mark.parametrize("kind", ["organization", "cost_center", "api_key"])
async def test_what_is_blocked_is_refused_by_name_until_it_is_unblocked(
    house: House, start: Start, kind: str
) -> None:
    async with start(house) as (client, _, provider):
        assert (await client.chat()).status_code == 200
        made = await block(house, kind)
        refused = await client.chat()
        error = refused.json()["error"]

        assert (refused.status_code, error["code"]) == (403, "blocked")
        assert error["blocked"] == {"kind": kind, "name": target(house, kind).name}
        assert refused.headers["x-should-retry"] == "false"
        assert "leaked" not in refused.text
        assert len(provider.books.lines()) == 1

        await house.make(blocks.lift, block=made, by=SYSTEM, at=timezone.now())
        began = time.monotonic()  # a refusal may be kept until the gateway hears of it
        while (await client.chat()).status_code == 403:
            assert time.monotonic() - began < SOON
            await asyncio.sleep(0.01)


async def test_the_refusal_has_the_shape_of_each_wire_format(house: House, start: Start) -> None:
    await block(house, "api_key")
    async with start(house) as (client, _, _):
        anthropic = await client.http.post("/v1/messages", json={})
        gemini = await client.http.post("/v1beta/models/m:generateContent", json={})
        models = await client.http.get("/v1/models")

    assert anthropic.json()["error"]["type"] == "permission_error"
    assert gemini.json()["error"]["status"] == "PERMISSION_DENIED"
    assert {r.status_code for r in (anthropic, gemini, models)} == {403}


async def test_a_blocked_cost_center_stops_what_is_booked_there_alone(
    house: House, start: Start
) -> None:
    await house.make(factories.make_cost_center, code="SALES")
    await block(house, "cost_center")
    async with start(house) as (client, _, _):
        there = await client.chat()
        elsewhere = await client.chat(headers={"X-Cost-Center": "SALES"})
        estimate = await client.http.post(
            "/v1/costs/estimate", json={**asked("hi"), "path": "/v1/chat/completions"}
        )

    assert [there.status_code, elsewhere.status_code, estimate.status_code] == [403, 200, 403]


async def test_a_new_secret_escapes_no_block(house: House, start: Start) -> None:
    await block(house, "api_key")
    _, token = await house.make(
        keyring.rotate, key=house.key, by=SYSTEM, overlap_until=timezone.now()
    )
    async with start(house) as (client, _, _):
        answer = await client.http.post(
            "/v1/chat/completions", json=asked("hi"), headers={"Authorization": f"Bearer {token}"}
        )

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "blocked")


async def test_a_call_under_way_finishes_unless_it_is_cut(house: House, start: Start) -> None:
    async with start(house) as (client, _, _):
        call = asyncio.create_task(client.chat("hi @slow=1"))
        await client.calls(until=lambda rows: len(rows) == 1)
        await block(house, "api_key")

        assert (await call).status_code == 200
        [row] = await client.calls(until=lambda rows: rows[0]["state"] == "settled")
        assert row["error_code"] == ""


async def test_a_cut_call_is_refused_and_stays_uncertain_at_its_hold(
    house: House, start: Start
) -> None:
    async with start(house) as (client, _, _):
        call = await _sent(client)
        began = time.monotonic()
        await block(house, "cost_center", is_cut=True)
        answer = await call

        assert time.monotonic() - began < SOON
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "blocked")
        [row] = await client.calls(until=lambda rows: rows[0]["state"] != "held")
        assert (row["state"], row["error_code"]) == ("uncertain", "blocked")


async def test_a_cut_stream_says_so_and_pays_for_what_was_written(
    house: House, start: Start
) -> None:
    async with start(house) as (client, _, _):
        events: list[Any] = []
        body = asked("hi @gap=0.2 @tokens=400", stream=True)
        async with client.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == 3:
                    await block(house, "organization", is_cut=True)

        assert events[-1]["error"]["code"] == "blocked"
        assert len(events) < 50
        [row] = await client.calls(until=lambda rows: rows[0]["state"] == "settled")
        assert (row["error_code"], row["is_estimated"]) == ("blocked", True)
        assert 0 < row["cost"] < row["hold_amount"]


async def test_calls_that_were_let_finish_can_be_cut_later(house: House, start: Start) -> None:
    async with start(house) as (client, _, _):
        call = await _sent(client)
        made = await block(house, "api_key")
        await house.make(blocks.cut, block=made, by=SYSTEM)

        assert (await call).status_code == 403


async def test_a_call_that_waits_for_room_is_refused_when_it_is_blocked(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit="0.0004", wait_ms=4000)
    async with start(house) as (client, _, _):
        running = asyncio.create_task(client.chat("hi @slow=3", max_tokens=100))
        await client.calls(until=lambda rows: len(rows) == 1)
        waiting = [asyncio.create_task(client.chat(max_tokens=100)) for _ in range(5)]
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await block(house, "api_key")
        refused = await asyncio.gather(*waiting)

        assert time.monotonic() - began < SOON / 2
        assert {answer.json()["error"]["code"] for answer in refused} == {"blocked"}
        assert (await running).status_code == 200


async def test_paths_without_admission_learn_of_a_block_at_once(house: House, start: Start) -> None:
    async with start(house) as (client, _, _):
        assert await _models(client) == 200
        await block(house, "api_key")

        await _refused_soon(client)


async def test_a_gateway_that_lost_its_listener_listens_again(
    house: House, start: Start, gateway_dsn: str
) -> None:
    async with start(house) as (client, _, _):
        assert await _models(client) == 200
        with psycopg.connect(gateway_dsn, autocommit=True) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND usename = current_user"
            ).fetchall()
        assert ended
        await asyncio.sleep(4 * notices.AGAIN)
        assert await _models(client) == 200
        await block(house, "api_key")

        await _refused_soon(client)


async def test_a_reader_of_the_live_stream_is_told_that_the_key_is_blocked(house: House) -> None:
    await block(house, "api_key")

    with pytest.raises(RefusedError) as refused:
        await aside(readers.by_key, text=house.token)

    assert refused.value.code == "blocked"


async def test_control_without_the_fence_a_blocked_call_is_admitted(
    house: House, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start(house) as (client, _, _):
        assert (await client.chat()).status_code == 200
        monkeypatch.setattr(policy, "changed", lambda _: 0)
        await block(house, "api_key")

        assert (await client.chat()).status_code == 200


async def _sent(client: Client) -> "asyncio.Task[httpx.Response]":
    """Begin a call and return once its provider thinks about the answer."""
    call = asyncio.create_task(client.chat("hi @slow=60"))
    await client.calls(until=lambda rows: len(rows) == 1)
    await asyncio.sleep(1)
    return call


async def _refused_soon(client: Client) -> None:
    """Wait until a path without admission is refused, sooner than what is cached would be too old."""
    began = time.monotonic()
    while await _models(client) == 200:
        assert time.monotonic() - began < 2
        await asyncio.sleep(0.01)


async def _models(client: Client) -> int:
    return (await client.http.get("/v1/models")).status_code
