"""Elastic budgets at the front door: a hold that begins small, grows with its answer, or ends it."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from budgets.limits.elastic import STEP
from budgets.reservations import books, refusals
from gateway.proxy.leash import Leash
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import RATES, Client, House, aside

MODEL = "long-1"
MOST = 20_000  # output tokens of the model
READ, WRITTEN = Decimal("0.000001"), Decimal("0.000002")
OVER = 3 * STEP * WRITTEN  # a part, and what the provider writes in the second around the cut
ELASTIC: dict[str, Any] = {"enforcement": "elastic", "wait_ms": 0}


@pytest.fixture
async def tower(house: House) -> House:
    """Give an organization with a model of long answers."""

    def work() -> None:
        with tenant(house.id):
            factories.make_route(name=MODEL, upstream=house.upstream)
            factories.make_price(
                model=MODEL,
                provider="fake",
                rates=RATES,
                context_window=200_000,
                max_output_tokens=MOST,
            )

    await aside(work)
    return house


async def streamed(client: Client, text: str, **body: Any) -> list[dict[str, Any]]:
    """Read a whole stream; return its events, without the end mark."""
    answer = await client.chat(text, model=MODEL, stream=True, **body)
    assert answer.status_code == 200, answer.text
    lines = [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def verified(house: House) -> list[str]:
    """Return what the books complain of."""

    def work() -> list[str]:
        with tenant(house.id):
            return [str(breach) for breach in books.verify()]

    found: list[str] = await aside(work)
    return found


async def test_the_hold_begins_with_the_input_and_one_part(tower: House, start: Start) -> None:
    await tower.make(factories.make_budget, limit="1", **ELASTIC)

    async with start(tower) as (client, _, provider):
        events = await streamed(client, "hi @tokens=20")
        [call] = await client.calls()
        [line] = provider.books.lines()

    assert (call["state"], call["error_code"], len(events)) == ("settled", "", 21)
    assert line["completion_tokens"] == 20
    read = call["hold_amount"] - STEP * WRITTEN
    assert 0 < read < 200 * READ
    assert await verified(tower) == []


async def test_the_hold_grows_with_the_answer(tower: House, start: Start) -> None:
    await tower.make(factories.make_budget, limit="1", **ELASTIC)

    async with start(tower) as (client, _, _):
        await streamed(client, "hi @tokens=2000 @gap=0.0005")
        [call] = await client.calls()
        period = await client.period()

    assert (call["state"], call["error_code"], call["output_tokens"]) == ("settled", "", 2000)
    assert 4 * STEP * WRITTEN < call["hold_amount"] < 7 * STEP * WRITTEN  # 5,000 by their bytes
    assert (period["spent"], period["held"]) == (call["cost"], 0)
    assert await verified(tower) == []


async def cut_short(tower: House, start: Start) -> tuple[list[dict[str, Any]], Any, Any]:
    """Stream more than the budget has; return the events, the call and its period."""
    await tower.make(
        factories.make_budget, limit=str(150 * READ + 2 * STEP * WRITTEN), name="Team", **ELASTIC
    )
    async with start(tower) as (client, _, _):
        events = await streamed(client, "hi @tokens=6000 @gap=0.001")
        [call] = await client.calls()
        return events, call, await client.period()


async def test_an_answer_that_gets_no_more_room_is_cut_and_settled(
    tower: House, start: Start
) -> None:
    events, call, period = await cut_short(tower, start)

    assert events[-1]["error"]["code"] == "budget_exceeded"
    assert "'Team' is used up" in events[-1]["error"]["message"]
    assert (call["state"], call["error_code"]) == ("settled", "budget_exceeded")
    assert call["refusal"]["name"] == "Team"
    short = {name: Decimal(call["refusal"][name]) for name in ("limit", "spent", "held", "needed")}
    assert short["limit"] - short["spent"] - short["held"] < short["needed"]
    assert 0 < call["cost"] <= period["limit_amount"] + OVER
    assert (period["spent"], period["held"], period["uncertain"]) == (call["cost"], 0, 0)
    assert await verified(tower) == []
    assert await tower.make(kinds) == [("cut", "budget_exceeded", "Team")]


def kinds() -> list[tuple[str, str, str]]:
    """Return what the page of refusals shows."""
    now = timezone.now()
    chosen = refusals.Selection(now - timedelta(hours=1), now + timedelta(hours=1))
    return [(one.kind, one.code, one.budget_name) for one in refusals.page(chosen).rows]


async def test_control_without_the_leash_the_answer_runs_on(
    tower: House, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def let(_leash: Leash, _seen: object) -> str:
        return ""

    monkeypatch.setattr(Leash, "check", let)
    _, call, period = await cut_short(tower, start)

    assert call["error_code"] == ""
    assert call["cost"] > period["limit_amount"] + OVER


async def test_what_is_not_seen_as_it_comes_is_held_whole(tower: House, start: Start) -> None:
    await tower.make(factories.make_budget, limit="1", **ELASTIC)

    async with start(tower) as (client, _, _):
        await client.chat("hi", model=MODEL)
        [call] = await client.calls()

    assert call["hold_amount"] > MOST * WRITTEN


async def test_under_a_blocking_budget_too_a_call_follows_that(tower: House, start: Start) -> None:
    await tower.make(factories.make_budget, limit="1", **ELASTIC)
    await tower.make(factories.make_budget, limit="1")

    async with start(tower) as (client, _, _):
        await streamed(client, "hi")
        [call] = await client.calls()

    assert call["hold_amount"] > MOST * WRITTEN


async def test_a_blocking_budget_for_other_calls_does_not_harden_it(
    tower: House, start: Start
) -> None:
    await tower.make(factories.make_budget, limit="1", **ELASTIC)
    await tower.make(factories.make_budget, limit="1", filters={"environments": ["prod"]})

    async with start(tower) as (client, _, _):
        await streamed(client, "hi")
        [call] = await client.calls()

    assert call["hold_amount"] < 2 * STEP * WRITTEN


async def test_the_first_part_has_to_fit(tower: House, start: Start) -> None:
    await tower.make(factories.make_budget, limit=str(STEP * WRITTEN), **ELASTIC)

    async with start(tower) as (client, _, provider):
        answer = await client.chat("hi", model=MODEL, stream=True)

        assert provider.books.lines() == []
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "budget_exceeded")


async def test_an_estimate_says_what_the_first_part_needs(tower: House, start: Start) -> None:
    await tower.make(factories.make_budget, limit="0.005", **ELASTIC)
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}

    async with start(tower) as (client, _, _):
        answer = await client.http.post(
            "/v1/costs/estimate", json={**body, "path": "/v1/chat/completions"}
        )

    said = answer.json()
    assert said["admitted"] is True
    assert Decimal(said["budgets"][0]["needed"]) < Decimal("0.0025")
    assert Decimal(said["upper_bound_usd"]) > MOST * WRITTEN


async def test_streams_beside_each_other_pass_the_limit_by_what_is_stated_for_each(
    tower: House, start: Start
) -> None:
    limit = Decimal("0.02")
    await tower.make(factories.make_budget, limit=str(limit), **ELASTIC)

    async with start(tower) as (client, _, _):
        answers = await asyncio.gather(
            *(client.chat("hi @tokens=1200 @gap=0.001", model=MODEL, stream=True) for _ in range(8))
        )
        calls = await client.calls()
        period = await client.period()

    admitted = sum(answer.status_code == 200 for answer in answers)
    assert {call["state"] for call in calls} <= {"settled", "denied"}
    assert admitted > 1
    assert period["spent"] <= limit + admitted * OVER
    assert await verified(tower) == []
