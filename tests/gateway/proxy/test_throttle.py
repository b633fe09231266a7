"""Rate limits at the front door: who sets them, what is refused, and what is given back."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from attribution.isolation.transaction import tenant
from config.embedded import EmbeddedServers
from gateway.keys.models import ApiKey
from tests import factories
from tests.gateway.conftest import Running, Start
from tests.gateway.running import Client, House, aside, asked, make_house, running

Limited = Callable[[House], Running]
NONE = {"requests_per_minute": None, "concurrent_streams": None}
PLACES = ("api_key", "cost_center", "organization")


async def limited(place: str, **limits: int) -> House:
    """Return a house that has one limit, at a key, its cost center or the organization."""
    own = limits if place == "api_key" else {}
    house: House = await aside(make_house, key={**NONE, **own})
    if place != "api_key":
        center = house.center if place == "cost_center" else None
        await house.make(factories.make_rate_limit, cost_center=center, **limits)
    return house


def limit_of(answer: httpx.Response) -> dict[str, Any]:
    """Return which limit refused a call."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (429, "rate_limited")
    assert error["type"] == "rate_limit_exceeded"
    found: dict[str, Any] = error["limit"]
    return found


@pytest.mark.parametrize("place", PLACES)
async def test_requests_over_a_limit_are_refused_and_not_booked(
    committed: None, start_limited: Limited, place: str
) -> None:
    house = await limited(place, requests_per_minute=2)

    async with start_limited(house) as (client, _, provider):
        answers = [await client.chat() for _ in range(4)]
        calls = await client.calls()

        assert len(provider.books.lines()) == 2
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert limit_of(answers[2]) == {"scope": place, "unit": "requests_per_minute", "limit": 2}
    assert 1 <= int(answers[2].headers["retry-after"]) <= 62
    assert answers[2].headers["x-should-retry"] == "true"
    assert [a.headers["x-ratelimit-remaining-requests"] for a in answers] == ["1", "0", "0", "0"]
    assert {a.headers["x-ratelimit-limit-requests"] for a in answers} == {"2"}
    assert len(calls) == 2


@pytest.mark.parametrize("place", PLACES)
async def test_tokens_are_counted_as_used(
    committed: None, start_limited: Limited, place: str
) -> None:
    house = await limited(place, tokens_per_minute=240)

    async with start_limited(house) as (client, _, _):
        first = await client.chat(max_tokens=100)  # 114 + 100 at first, 5 + 16 in the end
        second = await client.chat(max_tokens=100)
        third = await client.chat(max_tokens=60)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["x-ratelimit-remaining-tokens"] == "26"
    assert second.headers["x-ratelimit-remaining-tokens"] == "5"
    assert third.headers["x-ratelimit-remaining-tokens"] == "24"


async def test_more_tokens_than_are_left_are_refused(
    committed: None, start_limited: Limited
) -> None:
    house = await limited("cost_center", tokens_per_minute=240)

    async with start_limited(house) as (client, _, _):
        held, refused = await asyncio.gather(
            client.chat("hi @slow=0.5", max_tokens=100), client.chat("hi", max_tokens=160)
        )

    codes = {held.status_code, refused.status_code}
    found = held if held.status_code == 429 else refused
    assert codes == {200, 429}
    assert limit_of(found) == {"scope": "cost_center", "unit": "tokens_per_minute", "limit": 240}
    assert "the cost center 'MARKETING'" in found.json()["error"]["message"]


@pytest.mark.parametrize("place", PLACES)
async def test_streams_are_counted_down_when_they_end_and_when_the_client_leaves(
    committed: None, start_limited: Limited, place: str
) -> None:
    house = await limited(place, concurrent_streams=1)

    async with start_limited(house) as (client, _, _):
        body = asked("hi @gap=0.2 @tokens=100", stream=True)
        async with client.http.stream("POST", "/v1/chat/completions", json=body) as running_:
            full = await client.chat(stream=True)
            whole = await client.chat()
            assert running_.status_code == 200
        after_leaving = await until_granted(client)
        after_ending = await client.chat("hi @tokens=2", stream=True)

    assert limit_of(full) == {"scope": place, "unit": "concurrent_streams", "limit": 1}
    assert full.headers["retry-after"] == "1"
    assert whole.status_code == 200
    assert (after_leaving.status_code, after_ending.status_code) == (200, 200)


@pytest.mark.parametrize("is_shared", [True, False])
async def test_streams_that_never_begin_are_counted_down_too(
    committed: None,
    start: Start,
    start_limited: Limited,
    is_shared: bool,  # noqa: FBT001  a column of the table
) -> None:
    house = await limited("api_key", concurrent_streams=1)
    await house.make(factories.make_budget, limit="0.001", wait_ms=0)

    async with (start_limited if is_shared else start)(house) as (client, _, _):
        failed = [await client.chat("hi @status=400", stream=True, max_tokens=10) for _ in range(3)]
        denied = [await client.chat(stream=True, max_tokens=1000) for _ in range(3)]
        after = await client.chat("hi @tokens=2", stream=True, max_tokens=10)

    assert [answer.status_code for answer in failed + denied] == [400] * 3 + [402] * 3
    assert after.status_code == 200


async def test_the_refusal_has_the_shape_of_the_wire_format(
    committed: None, start_limited: Limited
) -> None:
    columns = {**NONE, "requests_per_minute": 1}
    house = await aside(make_house, key=columns, kind="demo", base_url="")
    body = {"model": "fake-1", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}

    async with start_limited(house) as (client, _, _):
        first = await client.http.post("/v1/messages", json=body)
        second = await client.http.post("/v1/messages", json=body)

    assert first.status_code == 200
    assert (second.status_code, second.json()["type"]) == (429, "error")
    assert second.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("limits", [NONE, {**NONE, "concurrent_streams": 1}])
async def test_a_call_without_limits_asks_nobody_and_says_nothing_of_them(
    committed: None, start_limited: Limited, limits: dict[str, int | None]
) -> None:
    house: House = await aside(make_house, key=limits)

    async with start_limited(house) as (client, proxy, _):
        proxy.limits = proxy.gateway.limits = None  # type: ignore[assignment]  # must not be asked
        answer = await client.chat()
        proxy.limits = proxy.pumps.limits

    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_a_changed_limit_acts_within_seconds(house: House, start_limited: Limited) -> None:
    def tighten() -> None:
        with tenant(house.id):
            ApiKey.objects.filter(pk=house.key.pk).update(requests_per_minute=1)

    async with start_limited(house) as (client, _, _):
        answer = await client.chat()
        await aside(tighten)
        for _ in range(80):
            answer = await client.chat()
            if answer.status_code == 429:
                break
            await asyncio.sleep(0.1)

    assert limit_of(answer)["limit"] == 1


async def test_limits_hold_while_valkey_is_away(
    committed: None, gateway_dsn: str, platform_dsn: str, own_valkey: EmbeddedServers
) -> None:
    house = await limited("api_key", requests_per_minute=3)
    url = own_valkey.environment()["REDIS_URL"]

    async with running(house, gateway_dsn, platform_dsn, redis_url=url) as (client, proxy, _):
        shared = [(await client.chat()).status_code for _ in range(2)]
        await asyncio.to_thread(own_valkey.stop)
        alone = [(await client.chat()).status_code for _ in range(5)]

        assert not proxy.limits.is_shared
    assert shared == [200, 200]
    assert alone == [200, 200, 200, 429, 429]  # this process begins anew, and refuses no budget


async def until_granted(client: Client) -> httpx.Response:
    """Call until a stream is granted, for at most some seconds."""
    for _ in range(60):
        answer = await client.chat("hi @tokens=2", stream=True)
        if answer.status_code == 200:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError("the stream was never counted down")


async def test_a_call_that_meets_a_changed_policy_counts_once(
    committed: None, start_limited: Limited
) -> None:
    house = await limited("api_key", requests_per_minute=3, concurrent_streams=1)

    async with start_limited(house) as (client, _, _):
        first = await client.chat("hi @tokens=2", stream=True)
        await house.make(factories.make_budget, limit="1")  # the next admission is stale
        second = await client.chat("hi @tokens=2", stream=True)
        third = await client.chat("hi @tokens=2", stream=True)

    found = [answer.headers["x-ratelimit-remaining-requests"] for answer in (first, second, third)]
    assert [answer.status_code for answer in (first, second, third)] == [200] * 3
    assert found == ["2", "1", "0"]


async def test_questions_that_carry_no_call_are_limited_by_key(
    house: House, start_limited: Limited
) -> None:
    question = {**asked("hi"), "path": "/v1/chat/completions"}
    async with start_limited(house) as (client, proxy, _):
        proxy.gateway.asks_per_minute = 3
        budgets = [await client.http.get("/v1/budgets") for _ in range(2)]
        estimates = [await client.http.post("/v1/costs/estimate", json=question) for _ in range(2)]
        call = await client.chat()

    answers = [*budgets, *estimates]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert limit_of(answers[-1])["limit"] == 3
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 62
    assert [a.headers["x-ratelimit-remaining-requests"] for a in answers] == ["2", "1", "0", "0"]
    assert call.status_code == 200
