"""A passed budget sends calls to a cheaper model, which the answer says and the hold covers."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, Client, House

SMALL = "small/1"  # a name that needs no quoting
ONE_CALL = Decimal("0.000037")  # what a call costs at the model's price
SAID = f"from={MODEL}; to={SMALL}"


async def furnish(house: House, *, limit: str = "0.00004", **rule: Any) -> None:
    """Add a soft budget that one call passes, and a rule to a model at a tenth of the price."""
    budget = await house.make(factories.make_budget, limit=limit, enforcement="warn")
    await house.make(factories.make_route, name=SMALL, upstream=house.upstream)
    await house.make(
        factories.make_price,
        model=SMALL,
        provider="fake",
        rates={"base": {"input": "0.1", "output": "0.2"}},
        context_window=100_000,
        max_output_tokens=1000,
    )
    columns = {"asked_models": [MODEL], "to_model": SMALL, "percent": Decimal(80), **rule}
    await house.make(factories.make_rule, budget=budget, **columns)


async def passed(client: Client, **call: Any) -> httpx.Response:
    """Call until a call is sent elsewhere, for at most some seconds."""
    for _ in range(80):
        answer = await client.chat(**call)
        if "x-model-downgraded" in answer.headers:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError("no call was sent elsewhere")


async def test_a_passed_budget_leads_to_the_cheaper_model_within_seconds(
    house: House, start: Start
) -> None:
    await furnish(house)

    async with start(house) as (client, _, provider):
        first = await client.chat()
        later = await passed(client, max_tokens=100)
        calls = await client.calls()
        sent = provider.books.lines()[-1]["model"]

    assert "x-model-downgraded" not in first.headers
    assert later.headers["x-model-downgraded"] == SAID
    assert (later.status_code, later.headers["x-cost-usd"]) == (200, "0.0000037")
    assert sent == SMALL
    before, after = calls[0], calls[-1]
    assert (before["route"], before["cost"]) == (MODEL, ONE_CALL)
    assert (after["model_requested"], after["route"], after["model_billed"]) == (
        MODEL,
        SMALL,
        SMALL,
    )
    assert after["hold_amount"] == Decimal("0.0000314")  # 114 read, 100 written, at the small price


async def test_a_stream_says_it_too_and_a_second_rule_does_not_follow(
    house: House, start: Start
) -> None:
    await furnish(house)
    await furnish_second(house)

    async with start(house) as (client, _, _):
        answer = await passed(client, stream=True)

    assert answer.headers["x-model-downgraded"] == SAID


async def furnish_second(house: House) -> None:
    """Add a rule that would lead from the cheaper model to another one."""
    budget = await house.make(factories.make_budget, limit="0.00001", enforcement="warn")
    columns = {"asked_models": [SMALL], "to_model": MODEL, "position": 1}
    await house.make(factories.make_rule, budget=budget, **columns)


@pytest.mark.parametrize(
    ("rule", "headers", "is_sent_on"),
    [
        ({"features": ["search"]}, {"X-Feature": "search"}, True),
        ({"features": ["search"]}, {"X-Feature": "chat"}, False),
        ({"cost_centers": ["MARKETING"]}, {}, True),
        ({"cost_centers": ["SALES"]}, {}, False),
        ({"percent": Decimal(200)}, {}, False),
        ({"is_active": False}, {}, False),
        ({"to_model": "nowhere"}, {}, False),
        ({"asked_models": ["other-*"]}, {}, False),
    ],
)
async def test_only_what_a_rule_names_is_sent_elsewhere(
    house: House,
    start: Start,
    rule: dict[str, Any],
    headers: dict[str, str],
    is_sent_on: bool,  # noqa: FBT001  a column of the table
) -> None:
    await furnish(house, **rule)
    async with start(house) as (client, _, _):
        await client.chat()

    async with start(house) as (client, _, _):  # it knows at its first call what is passed
        answer = await client.chat(headers=headers)

    assert answer.status_code == 200
    assert ("x-model-downgraded" in answer.headers) == is_sent_on


async def test_calls_that_the_budget_does_not_cover_go_where_they_want(
    house: House, start: Start
) -> None:
    other = await house.make(factories.make_cost_center, code="SALES")
    budget = await house.make(
        factories.make_budget,
        limit="0.00004",
        enforcement="warn",
        scope="cost_center",
        scope_id=other.pk,
    )
    await furnish(house, limit="1000")
    await house.make(factories.make_rule, budget=budget, to_model=SMALL)
    async with start(house) as (client, _, _):
        await client.chat(headers={"X-Cost-Center": "SALES"})

    async with start(house) as (client, _, _):
        covered = await client.chat(headers={"X-Cost-Center": "SALES"})
        free = await client.chat()

    assert covered.headers["x-model-downgraded"] == SAID
    assert "x-model-downgraded" not in free.headers


async def test_the_header_cannot_be_broken_by_what_a_client_names(
    house: House, start: Start
) -> None:
    await furnish(house, asked_models=["*"])
    await house.make(factories.make_route, name="any*", upstream=house.upstream)
    async with start(house) as (client, _, _):
        await client.chat()

    async with start(house) as (client, _, _):
        broken = await client.chat(model="any\rx-evil: 1")
        answer = await client.chat(model="any x-evil: 1; to=é")

    assert (broken.status_code, broken.json()["error"]["param"]) == (400, "model")
    assert answer.headers["x-model-downgraded"] == (
        f"from=any%20x-evil:%201%3B%20to%3D%C3%A9; to={SMALL}"
    )
    assert "x-evil" not in {**broken.headers, **answer.headers}
