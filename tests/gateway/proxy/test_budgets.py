"""Hard budgets at the front door: refused before anything is sent, never overshot, never leaked."""

import asyncio
from collections import Counter
from decimal import Decimal

from attribution.isolation.transaction import tenant
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, House, aside, free_port, make_house

HIDDEN = {"is_amount_hidden": True}


async def test_a_used_up_budget_refuses_and_names_itself(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="0.000001", name="Team")

    async with start(house) as (client, _, provider):
        answer = await client.chat(max_tokens=100)
        [call] = await client.calls()

        assert provider.books.lines() == []
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (402, "budget_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    assert error["budget"]["name"] == "Team"
    assert Decimal(error["budget"]["limit"]) == Decimal("0.000001")
    assert Decimal(error["budget"]["needed"]) > Decimal("0.0002")
    assert (call["state"], call["error_code"]) == ("denied", "budget_exceeded")
    assert str(call["call_id"]) == answer.headers["x-request-id"]


async def test_a_key_may_hide_the_amounts(committed: None, start: Start) -> None:
    house = await aside(make_house, key=HIDDEN)
    await house.make(factories.make_budget, limit="0.000001", name="Team")

    async with start(house) as (client, _, _):
        answer = await client.chat()

    assert set(answer.json()["error"]["budget"]) == {"id", "name", "ends_at"}


async def test_what_is_left_stands_in_the_answer(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="1")

    async with start(house) as (client, _, _):
        answer = await client.chat()

    assert answer.headers["x-budget-remaining-usd"] == "0.999963"


async def test_parallel_calls_never_pass_three_nested_limits(house: House, start: Start) -> None:
    center, department = house.center, house.center.department_id
    hold = Decimal("0.000285")  # 85 tokens read at most, 100 written
    limit = str(hold * 10)
    await house.make(factories.make_budget, limit=limit, wait_ms=0)
    await house.make(
        factories.make_budget,
        limit=limit,
        scope="department",
        scope_id=department,
        wait_ms=0,
    )
    await house.make(
        factories.make_budget,
        limit=limit,
        scope="cost_center",
        scope_id=center.pk,
        wait_ms=0,
    )

    async with start(house) as (client, _, provider):
        answers = await asyncio.gather(
            *(client.chat("hi @slow=0.5", max_tokens=100) for _ in range(40))
        )
        calls = await client.calls()
        periods = await client.rows("SELECT * FROM v1_periods WHERE organization_id = %s")
        billed = len(provider.books.lines())

    codes = Counter(answer.status_code for answer in answers)
    granted = codes[200]
    holds = {call["hold_amount"] for call in calls}
    assert len(holds) == 1
    assert granted == billed == int(Decimal(limit) / holds.pop())
    assert codes == {200: granted, 429: 40 - granted}
    running = [period for period in periods if period["spent"]]
    assert len(running) == 3
    for period in running:
        assert period["held"] == period["uncertain"] == 0
        assert period["spent"] == granted * Decimal("0.000038")


async def test_a_call_waits_its_turn_until_open_calls_settle(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="0.0005", wait_ms=3000)

    async with start(house) as (client, _, _):
        answers = await asyncio.gather(
            *(client.chat("hi @slow=0.2", max_tokens=100) for _ in range(4))
        )
        calls = await client.calls()

    assert [answer.status_code for answer in answers] == [200] * 4
    assert {call["state"] for call in calls} == {"settled"}


async def test_a_call_that_waited_in_vain_is_refused_once(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="0.0005", wait_ms=300)

    async with start(house) as (client, _, _):
        first = asyncio.create_task(client.chat("hi @slow=1.5", max_tokens=100))
        await asyncio.sleep(0.3)
        refused = await client.chat("hi", max_tokens=100)
        await first
        calls = await client.calls()

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "budget_reserved")
    assert int(refused.headers["retry-after"]) >= 1
    assert sorted(call["state"] for call in calls) == ["denied", "settled"]


async def test_of_all_budgets_that_block_the_smallest_wait_holds(
    house: House, start: Start
) -> None:
    for name, wait_ms in (("patient", 3500), ("hurried", 300)):
        await house.make(factories.make_budget, limit="0.00055", name=name, wait_ms=wait_ms)

    async with start(house) as (client, _, _):
        for headers in ({}, {"X-Budget-Fit": "clamp"}):
            first = asyncio.create_task(client.chat("hi @slow=3", max_tokens=190))
            await asyncio.sleep(0.3)
            began = asyncio.get_running_loop().time()
            refused = await client.chat("hi", max_tokens=100, headers=headers)
            waited = asyncio.get_running_loop().time() - began
            await first

            assert refused.json()["error"]["code"] == "budget_reserved"
            assert 0.25 < waited < 2.5


async def test_a_budget_made_under_way_covers_the_next_call(house: House, start: Start) -> None:
    async with start(house) as (client, _, _):
        before = await client.chat()
        await house.make(factories.make_budget, limit="0.000001")
        after = await client.chat()

    assert (before.status_code, after.status_code) == (200, 402)


async def test_a_budget_of_another_user_or_model_does_not_touch_the_call(
    house: House, start: Start
) -> None:
    tiny = {"limit": "0.000001", "enforcement": "block"}
    await house.make(factories.make_budget, **tiny, scope="user", scope_value="ada")
    await house.make(factories.make_budget, **tiny, filters={"models": ["other"]})

    async with start(house) as (client, _, _):
        others = await client.chat()
        adas = await client.chat(user="ada")

    assert (others.status_code, adas.status_code) == (200, 402)


async def test_observing_and_warning_budgets_count_and_never_refuse(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit="0.000001", enforcement="observe")
    await house.make(factories.make_budget, limit="0.000001", enforcement="warn")

    async with start(house) as (client, _, _):
        answer = await client.chat()
        periods = await client.rows("SELECT * FROM v1_periods WHERE organization_id = %s")

    assert answer.status_code == 200
    assert "x-budget-remaining-usd" not in answer.headers
    assert [p["spent"] for p in periods if p["spent"]] == [Decimal("0.000037")] * 2


async def test_a_call_that_may_go_two_ways_is_held_on_both_and_charged_on_its_own(
    house: House, start: Start
) -> None:
    def two_ways() -> None:
        with tenant(house.id):
            dead = factories.make_upstream(
                kind="openai_compatible",
                provider="dead",
                base_url=f"http://127.0.0.1:{free_port()}/v1",
            )
            route = factories.make_route(name="smart", upstream=dead)
            route.targets.create(
                organization_id=house.id, upstream=house.upstream, provider_model=MODEL, position=1
            )
            factories.make_price(model="smart", provider="dead", rates=factories.RATES)
            for name, filters in {
                "dead": {"providers": ["dead"]},
                "fake": {"providers": ["fake"], "models": [MODEL]},
                "feature": {"features": ["chat"]},
            }.items():
                factories.make_budget(name=name, limit="1", filters=filters)

    await aside(two_ways)

    async with start(house) as (client, _, _):
        answer = await client.chat(model="smart", headers={"X-Feature": "mail"})
        [call] = await client.calls()
        rows = await client.rows("SELECT * FROM v1_periods WHERE organization_id = %s")

    assert answer.status_code == 200
    assert (call["state"], call["provider"]) == ("settled", "fake")
    now = call["settled_at"]
    running = {r["budget_name"]: r for r in rows if r["starts_at"] <= now < r["ends_at"]}
    assert {name: row["spent"] for name, row in running.items()} == {
        "dead": 0,
        "fake": call["cost"],
        "feature": 0,
    }
    assert {row["held"] for row in running.values()} == {0}


async def test_a_hard_budget_for_others_asks_nothing_of_a_call(house: House, start: Start) -> None:
    other = {"limit": "0.000001", "filters": {"environments": ["prod"]}}
    await house.make(factories.make_budget, **other)
    await house.make(factories.make_route, name="unpriced", upstream=house.upstream)

    async with start(house) as (client, _, _):
        mine = await client.chat(model="unpriced")
        theirs = await client.chat(model="unpriced", headers={"X-Environment": "prod"})

    assert mine.status_code == 200
    assert theirs.json()["error"]["code"] == "unpriced_model"
