"""What a call would cost, before it is made: the same bound and the same budgets, and nothing changes."""

import os
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from attribution.isolation.transaction import tenant
from budgets.limits.models import BudgetPeriod
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, Client, House, aside, asked, make_house

ESTIMATE = "/v1/costs/estimate"
BUDGETS = "/v1/budgets"
CHAT = "/v1/chat/completions"


async def estimate(client: Client, body: dict[str, Any] | None = None, **more: Any) -> Any:
    """Ask what a call would cost."""
    told = body if body is not None else asked("hi", path=CHAT, max_tokens=100)
    return await client.http.post(ESTIMATE, json=told, **more)


async def standing(client: Client) -> list[dict[str, Any]]:
    """Return the budget periods as the read contract has them."""
    return await client.rows(
        "SELECT budget_name, spent, held FROM v1_periods WHERE organization_id = %s ORDER BY 1"
    )


async def test_an_estimate_is_the_hold_of_the_call_it_describes(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="1", name="all")

    async with start(house) as (client, _, _):
        told = (await estimate(client)).json()
        answer = await client.chat("hi", max_tokens=100)
        [call] = await client.calls()

    assert answer.status_code == 200
    assert told["model"] == MODEL
    assert Decimal(told["upper_bound_usd"]) == call["hold_amount"]
    assert told["admitted"] is True
    assert told["refusal"] is None
    assert Decimal(told["expected_usd"]) <= Decimal(told["upper_bound_usd"])
    assert told["price"]["usd_per_million_tokens"] == {"input": "1", "output": "2"}
    [budget] = told["budgets"]
    assert (budget["name"], budget["remaining"]) == ("all", "1")
    assert budget["needed"] == told["upper_bound_usd"]


async def test_an_estimate_changes_nothing(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="1", name="all")

    async with start(house) as (client, _, provider):
        before = await standing(client)
        for _ in range(3):
            await estimate(client)
            await client.http.get(BUDGETS)
        after = await standing(client)

        assert provider.books.lines() == []
        assert await client.calls() == []
    assert before == after


async def test_neither_opens_a_period_that_nobody_used(house: House, start: Start) -> None:
    budget = await house.make(factories.make_budget, limit="1.5", name="new", period="day")
    await aside(forget_periods, house=house, budget=budget)

    async with start(house) as (client, _, _):
        told = (await estimate(client)).json()
        [listed] = (await client.http.get(BUDGETS)).json()["data"]
        periods = await standing(client)

    assert told["budgets"][0]["remaining"] == "1.5"
    assert (listed["limit"], listed["spent"], listed["remaining"]) == ("1.5", "0", "1.5")
    assert listed["starts_at"] < listed["ends_at"]
    assert len(periods) == 0


def forget_periods(house: House, budget: Any) -> None:
    """Move the periods of a budget into the past, as if the day had just begun."""
    owner = os.environ.get("OWNER_DATABASE_URL", os.environ["DATABASE_URL"])
    with psycopg.connect(owner) as connection:
        connection.execute(
            "SELECT set_config('app.organization_id', %s, true), set_config('app.ledger', 'on', true)",
            [str(house.id)],
        )
        connection.execute("DELETE FROM budget_period WHERE budget_id = %s", [budget.pk])
    with tenant(house.id):
        assert not BudgetPeriod.objects.filter(budget=budget).exists()


@pytest.mark.parametrize(("limit", "refusal"), [("0.000001", "budget_exceeded"), ("1", None)])
async def test_it_says_whether_the_call_would_be_admitted(
    house: House, start: Start, limit: str, refusal: str | None
) -> None:
    await house.make(factories.make_budget, limit=limit)

    async with start(house) as (client, _, _):
        told = (await estimate(client)).json()
        real = await client.chat("hi", max_tokens=100)

    assert (told["admitted"], told["refusal"]) == (refusal is None, refusal)
    assert (real.status_code == 200) is (refusal is None)
    if refusal:
        assert real.json()["error"]["code"] == refusal


async def test_a_call_that_may_be_shortened_is_estimated_as_the_shorter_one(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit="0.0003")
    clamp = {"X-Budget-Fit": "clamp"}
    body = asked("hi", max_tokens=1000)

    async with start(house) as (client, _, _):
        plain = (await estimate(client, {**body, "path": CHAT})).json()
        told = (await estimate(client, {**body, "path": CHAT}, headers=clamp)).json()
        real = await client.http.post(CHAT, json=body, headers=clamp)
        [call] = [row for row in await client.calls() if row["state"] == "settled"]

    assert (plain["admitted"], plain["shortened_to"]) == (False, None)
    assert told["admitted"] is True
    assert real.headers["x-budget-fit"] == f"max_tokens={told['shortened_to']}"
    assert Decimal(told["upper_bound_usd"]) == call["hold_amount"]


async def test_a_budget_that_only_warns_refuses_nothing(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="0.000001", enforcement="warn")

    async with start(house) as (client, _, _):
        told = (await estimate(client)).json()

    assert told["admitted"] is True
    assert Decimal(told["budgets"][0]["needed"]) > Decimal(told["budgets"][0]["remaining"])


BODIES: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}),
    ("/v1/completions", {"model": MODEL, "prompt": "hi", "max_tokens": 9}),
    ("/v1/responses", {"model": MODEL, "input": "hi", "max_output_tokens": 16}),
    ("/v1/embeddings", {"model": MODEL, "input": "hi"}),
]


@pytest.mark.parametrize(("path", "body"), BODIES, ids=lambda value: str(value)[:24])
async def test_every_format_of_the_upstream_is_estimated(
    office: Client, path: str, body: dict[str, Any]
) -> None:
    answer = await estimate(office, {**body, "path": path})

    assert answer.status_code == 200, answer.text
    assert Decimal(answer.json()["upper_bound_usd"]) > 0


async def test_formats_that_carry_the_model_in_their_path_or_elsewhere(
    committed: None, start: Start
) -> None:
    house = await aside(make_house, kind="demo", base_url="")
    message = {"role": "user", "content": "hi"}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/v1/messages", {"model": MODEL, "max_tokens": 9, "messages": [message]}),
        ("/v1/messages/count_tokens", {"model": MODEL, "messages": [message]}),
        (f"/v1beta/models/{MODEL}:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
        (f"v1beta/models/{MODEL}:embedContent", {"content": {"parts": [{"text": "hi"}]}}),
    ]

    async with start(house) as (client, _, _):
        answers = [await estimate(client, {**body, "path": path}) for path, body in bodies]

    assert [answer.status_code for answer in answers] == [200] * len(bodies)
    costs = [Decimal(answer.json()["upper_bound_usd"]) for answer in answers]
    assert [cost > 0 for cost in costs] == [True, False, True, True]  # counting is free


async def test_it_refuses_what_the_call_would_be_refused_for(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="1")
    await house.make(factories.make_route, name="mystery", upstream=house.upstream)

    async with start(house) as (client, _, _):
        unknown = await estimate(client, asked("hi", path=CHAT, model="nothing"))
        unpriced = await estimate(client, asked("hi", path=CHAT, model="mystery"))
        nowhere = await estimate(client, headers={"X-Cost-Center": "NOWHERE"})

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_model")
    assert (unpriced.status_code, unpriced.json()["error"]["code"]) == (422, "unpriced_model")
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (400, "unknown_cost_center")


async def test_without_a_hard_budget_an_unpriced_model_has_no_bound(office: Client) -> None:
    await office.house.make(factories.make_route, name="mystery", upstream=office.house.upstream)

    told = (await estimate(office, asked("hi", path=CHAT, model="mystery"))).json()

    assert (told["upper_bound_usd"], told["expected_usd"], told["price"]) == (None, None, None)
    assert told["admitted"] is True


@pytest.mark.parametrize("path", [None, 7, "", "/v1/models", "/v1/files", ESTIMATE, "/v1/budgets"])
async def test_a_path_that_carries_no_calls_is_named(office: Client, path: Any) -> None:
    answer = await estimate(office, asked("hi", path=path))

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", "path")


async def test_the_budgets_of_a_key_are_listed_live_the_tightest_first(
    house: House, start: Start
) -> None:
    other = await house.make(factories.make_cost_center, code="SALES")
    await house.make(factories.make_budget, limit="5", name="all", enforcement="warn")
    mine = {"scope": "cost_center", "scope_id": house.center.pk}
    await house.make(factories.make_budget, limit="2", name="mine", period="day", **mine)
    theirs = {"scope": "cost_center", "scope_id": other.pk}
    await house.make(factories.make_budget, limit="1", name="sales", **theirs)

    async with start(house) as (client, _, _):
        answer = await client.chat()
        listed = (await client.http.get(BUDGETS)).json()["data"]
        sales = await client.http.get(BUDGETS, headers={"X-Cost-Center": "SALES"})

    assert [row["name"] for row in listed] == ["mine", "all"]
    cost = Decimal(answer.headers["x-cost-usd"])
    assert Decimal(listed[0]["spent"]) == cost
    assert Decimal(listed[0]["remaining"]) == 2 - cost
    assert listed[0]["held"] == listed[0]["uncertain"] == "0"
    assert (listed[1]["enforcement"], listed[1]["period"]) == ("warn", "month")
    assert {row["name"] for row in sales.json()["data"]} == {"all", "sales"}


async def test_what_is_known_of_a_budgets_future_is_told_too(house: House, start: Start) -> None:
    budget = await house.make(factories.make_budget, limit="5", name="all")

    async with start(house) as (client, _, _):
        [blank] = (await client.http.get(BUDGETS)).json()["data"]
        await house.make(factories.make_forecast, budget=budget, p10="3", p50="4.5", p90="6.25")
        [listed] = (await client.http.get(BUDGETS)).json()["data"]

    assert (blank["state"], blank["forecast"]) == (None, None)
    assert listed["state"] == "ok"
    forecast = listed["forecast"]
    assert (forecast["status"], forecast["method"]) == ("ok", "weekday")
    assert (forecast["p10"], forecast["p50"], forecast["p90"]) == ("3", "4.5", "6.25")
    assert forecast["data_through"]
    assert forecast["exhausted_on"] is None


async def test_a_key_that_may_not_see_amounts_sees_none(committed: None, start: Start) -> None:
    house = await aside(make_house, key={"is_amount_hidden": True})
    await house.make(factories.make_budget, limit="2", name="all")

    async with start(house) as (client, _, _):
        [listed] = (await client.http.get(BUDGETS)).json()["data"]
        told = (await estimate(client)).json()

    assert listed["name"] == "all"
    assert {listed[name] for name in ("limit", "spent", "held", "uncertain", "remaining")} == {None}
    assert told["budgets"][0]["remaining"] is None


async def test_only_keys_that_may_call_may_ask(committed: None, start: Start) -> None:
    house = await aside(make_house, key={"scopes": ["costs"]})

    async with start(house) as (client, _, _):
        answers = [await estimate(client), await client.http.get(BUDGETS)]
        wrong = [await client.http.get(ESTIMATE), await client.http.post(BUDGETS)]

    assert [answer.json()["error"]["code"] for answer in answers] == ["scope_not_allowed"] * 2
    assert all(answer.status_code in {403, 405} for answer in wrong)
