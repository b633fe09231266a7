"""What each failure leaves in the books: the rows of the failure table that a client can cause or see."""

import asyncio
import json
from decimal import Decimal
from typing import Any

from django.utils import timezone

from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from budgets.reservations import breaches
from budgets.reservations.models import BoundBreach
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, Client, House, aside, asked, free_port, make_house


def settled(rows: list[dict[str, Any]]) -> bool:
    """Tell whether no call is open."""
    return bool(rows) and all(row["state"] != "held" for row in rows)


async def test_13_an_unreachable_upstream_releases_the_hold(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="1")
    await house.make(
        factories.make_route,
        name="dead",
        upstream=await house.make(
            factories.make_upstream,
            kind="openai_compatible",
            provider="fake",
            base_url=f"http://127.0.0.1:{free_port()}/v1",
        ),
    )
    await house.make(factories.make_price, model="dead", provider="fake", max_output_tokens=10)

    async with start(house) as (client, _, _):
        answer = await client.chat(model="dead")
        [call] = await client.calls()
        period = await client.period()

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert (call["state"], call["cost"], call["attempts"]) == ("released", Decimal(0), 3)
    assert (period["held"], period["uncertain"], period["spent"]) == (0, 0, 0)


async def test_13_the_next_target_answers_under_the_same_hold(house: House, start: Start) -> None:
    def second_target() -> None:
        with tenant(house.id):
            dead = factories.make_upstream(
                kind="openai_compatible",
                provider="fake",
                base_url=f"http://127.0.0.1:{free_port()}/v1",
            )
            route = factories.make_route(name="fallback", upstream=dead)
            route.targets.create(
                organization_id=house.id,
                upstream=house.upstream,
                provider_model=MODEL,
                position=1,
            )
            factories.make_price(model="fallback", provider="fake", rates=factories.RATES)

    await aside(second_target)

    async with start(house) as (client, _, provider):
        answer = await client.chat(model="fallback")
        [call] = await client.calls()

        assert len(provider.books.lines()) == 1
    assert answer.status_code == 200
    assert (call["state"], call["attempts"]) == ("settled", 2)


async def test_14_a_busy_provider_is_asked_again_and_then_releases(office: Client) -> None:
    answer = await office.chat("@status=429")

    [call] = await office.calls()
    assert answer.status_code == 429
    assert answer.json()["error"]["message"] == "asked for 429"
    assert (call["state"], call["attempts"], call["error_code"]) == (
        "released",
        3,
        "upstream_error",
    )


async def test_14_an_error_of_a_provider_that_may_bill_it_stays_uncertain(
    committed: None, start: Start
) -> None:
    house = await aside(make_house, is_error_unbilled=False)
    await house.make(factories.make_budget, limit="1")

    async with start(house) as (client, _, _):
        answer = await client.chat("@status=500", max_tokens=100)
        [call] = await client.calls()
        period = await client.period()

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert answer.headers["x-should-retry"] == "false"
    assert call["state"] == "uncertain"
    assert period["uncertain"] == call["hold_amount"] > 0
    assert period["held"] == 0


async def test_14_an_error_inside_a_stream_is_an_error(office: Client) -> None:
    answer = await office.chat("@error=1", stream=True)

    [call] = await office.calls()
    assert "overloaded" in answer.text
    assert call["state"] == "released"


async def test_15_a_silent_upstream_is_cut_and_stays_uncertain(
    committed: None, start: Start
) -> None:
    house = await aside(make_house, idle_timeout_s=1)

    async with start(house) as (client, _, _):
        answer = await client.chat("@slow=3")
        [call] = await client.calls()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert (call["state"], call["error_code"]) == ("uncertain", "upstream_timeout")


async def test_16_a_cut_stream_is_counted_and_told(office: Client) -> None:
    answer = await office.chat("@tokens=9 @cut=4", stream=True)

    [call] = await office.calls()
    assert "[DONE]" not in answer.text
    assert '"code":"upstream_error"' in answer.text
    assert (call["state"], call["is_estimated"], call["cost_source"]) == ("settled", True, "count")
    assert call["output_tokens"] >= 4
    assert call["cost"] > 0


async def test_16_a_cut_unary_answer_stays_uncertain(office: Client) -> None:
    answer = await office.chat("@cut=1")

    [call] = await office.calls()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert call["state"] == "uncertain"


async def test_17_a_client_that_leaves_a_stream_is_billed_by_count(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit="1")

    async with start(house) as (client, _, provider):
        request = asked("@tokens=200 @gap=0.05", stream=True, max_tokens=500)
        async with client.http.stream("POST", "/v1/chat/completions", json=request) as answer:
            async for line in answer.aiter_lines():
                if line:
                    break
        [call] = await client.calls(until=settled)
        period = await client.period()

        assert provider.books.lines()
    assert (call["state"], call["error_code"]) == ("settled", "client_gone")
    assert call["is_estimated"]
    assert 0 < call["cost"] <= call["hold_amount"]
    assert (period["held"], period["spent"]) == (0, call["cost"])


async def test_17_a_client_that_leaves_before_a_whole_answer_is_billed_exactly(
    office: Client,
) -> None:
    task = asyncio.create_task(office.chat("hi @slow=0.5"))
    await asyncio.sleep(0.2)
    task.cancel()

    [call] = await office.calls(until=settled)

    assert (call["state"], call["is_estimated"]) == ("settled", False)
    assert call["output_tokens"] == 16


async def test_18_missing_and_absurd_usage_is_counted_and_flagged(office: Client) -> None:
    for wish in ("none", "absurd"):
        for is_stream in (False, True):
            await office.chat(f"hi @usage={wish}", stream=is_stream)

    calls = await office.calls()

    assert [call["state"] for call in calls] == ["settled"] * 4
    assert all(call["is_estimated"] and call["cost"] > 0 for call in calls)


async def test_18_an_estimated_answer_says_so(office: Client) -> None:
    answer = await office.chat("hi @usage=none")

    assert answer.headers["x-cost-estimated"] == "true"


async def test_19_usage_above_the_bound_is_charged_in_full_and_named(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit="1")

    async with start(house) as (client, _, _):
        await client.chat("hi @tokens=500 @over=1", max_tokens=10)
        [call] = await client.calls()
        period = await client.period()

    assert (call["state"], call["error_code"]) == ("settled", "bound_breach")
    assert period["spent"] == call["cost"] > call["hold_amount"]


async def test_19_a_kind_of_call_that_passed_its_bound_is_refused_until_it_is_cleared(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit="1")

    async with start(house) as (client, _, _):
        await client.chat("hi @tokens=500 @over=1", max_tokens=10)
        refused = await until(client, 422)
        await house.make(clear_breaches)
        await until(client, 200)

    assert (refused["error"]["code"], refused["error"]["param"]) == ("unbounded_request", "model")


async def until(client: Client, status: int) -> Any:
    """Ask until gateways know, a few seconds; return the answer."""
    for _ in range(100):
        answer = await client.chat("hi", max_tokens=10)
        if answer.status_code == status:
            return answer.json()
        await asyncio.sleep(0.1)
    raise AssertionError(f"never answered {status}")


def clear_breaches() -> int:
    """Clear what is open."""
    chosen = BoundBreach.objects.filter(cleared_at=None).values_list("pk", flat=True)
    return breaches.clear(chosen, at=timezone.now(), by=Actor("system"))


async def test_19_a_stream_beyond_its_bound_is_cut(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="1")

    async with start(house) as (client, _, _):
        answer = await client.chat("@tokens=500 @over=1 @gap=0.01", max_tokens=10, stream=True)
        [call] = await client.calls()

    assert answer.text.count("word") < 100
    assert (call["state"], call["error_code"]) == ("settled", "bound_breach")


async def test_a_compressed_answer_is_refused(office: Client) -> None:
    answer = await office.chat("@gzip=1")

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")


async def test_a_failed_try_is_noted(office: Client, owner_dsn: str) -> None:
    await office.chat("@status=503")

    [call] = await office.calls()
    rows: list[dict[str, Any]] = []
    for _ in range(40):
        rows = await office.rows("SELECT n, status FROM attempt WHERE organization_id = %s")
        if len(rows) == 3:
            break
        await asyncio.sleep(0.05)
    assert [row["status"] for row in rows] == [503] * 3
    assert call["attempts"] == 3


async def test_a_slow_reader_gets_every_byte(office: Client) -> None:
    request = asked("@tokens=900", stream=True)
    async with office.http.stream("POST", "/v1/chat/completions", json=request) as answer:
        await asyncio.sleep(0.5)
        body = (await answer.aread()).decode()

    events = [line for line in body.splitlines() if line.startswith("data: {")]
    words = [json.loads(line[6:])["choices"][0]["delta"].get("content") for line in events]
    assert words.count("word ") == 900
    assert body.endswith("data: [DONE]\n\n")
