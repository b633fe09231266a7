"""`X-Budget-Fit: clamp`: answers are shortened to what budgets have left, exactly, by all who ask."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import House, aside, make_house

CLAMP = {"X-Budget-Fit": "clamp"}
READ, WRITTEN = Decimal("0.000001"), Decimal("0.000002")
INPUT = 114  # tokens that the call of "hi" is bounded by


def room_for(tokens: int, *, text: str = "hi") -> str:
    """Return the limit in which an answer of so many tokens fits, and not one more."""
    return str((INPUT + len(text) - 2) * READ + tokens * WRITTEN)


async def test_an_answer_is_shortened_to_what_is_left(house: House, start: Start) -> None:
    text = "hi @tokens=80"
    limit = room_for(40, text=text)
    await house.make(factories.make_budget, limit=limit)

    async with start(house) as (client, _, provider):
        answer = await client.chat(text, max_tokens=100, headers=CLAMP)
        [call] = await client.calls()
        period = await client.period()
        [line] = provider.books.lines()

    assert (answer.status_code, answer.headers["x-budget-fit"]) == (200, "max_tokens=40")
    assert line["completion_tokens"] == 40
    assert Decimal(limit) - WRITTEN < call["hold_amount"] <= Decimal(limit)
    assert (period["held"], period["spent"]) == (0, call["cost"])


async def test_without_it_the_same_call_is_refused(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit=room_for(40))

    async with start(house) as (client, _, _):
        answer = await client.chat(max_tokens=100)

    assert answer.status_code == 402
    assert "x-budget-fit" not in answer.headers


async def test_what_fits_is_left_as_it_is(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit="1")

    async with start(house) as (client, _, _):
        answer = await client.chat(max_tokens=100, headers=CLAMP)

    assert answer.status_code == 200
    assert "x-budget-fit" not in answer.headers


async def test_fewer_than_sixteen_tokens_are_refused_and_booked_once(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit=room_for(15))

    async with start(house) as (client, _, provider):
        answer = await client.chat(max_tokens=100, headers=CLAMP)
        calls = await client.calls()

        assert provider.books.lines() == []
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "budget_exceeded")
    assert "x-budget-fit" not in answer.headers
    assert [(call["state"], call["error_code"]) for call in calls] == [
        ("denied", "budget_exceeded")
    ]


async def test_the_tightest_of_nested_budgets_decides(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit=room_for(60))
    center = {"scope": "cost_center", "scope_id": house.center.pk}
    await house.make(factories.make_budget, limit=room_for(30), **center)
    await house.make(factories.make_budget, limit=room_for(1), enforcement="warn", **center)

    async with start(house) as (client, _, _):
        answer = await client.chat(max_tokens=100, stream=True, headers=CLAMP)

    assert (answer.status_code, answer.headers["x-budget-fit"]) == (200, "max_tokens=30")


async def test_a_budget_may_ask_for_it_by_itself(house: House, start: Start) -> None:
    await house.make(factories.make_budget, limit=room_for(40), is_clamped=True)

    async with start(house) as (client, _, _):
        answer = await client.chat(max_tokens=100)

    assert (answer.status_code, answer.headers["x-budget-fit"]) == (200, "max_tokens=40")


async def test_a_budget_that_does_not_ask_for_it_refuses_as_ever(
    house: House, start: Start
) -> None:
    await house.make(factories.make_budget, limit="1", is_clamped=True)
    await house.make(factories.make_budget, limit=room_for(40), name="strict")

    async with start(house) as (client, _, _):
        answer = await client.chat(max_tokens=100)

    assert (answer.status_code, answer.json()["error"]["budget"]["name"]) == (402, "strict")


async def test_another_word_is_refused_by_name(house: House, start: Start) -> None:
    async with start(house) as (client, _, _):
        answer = await client.chat(headers={"X-Budget-Fit": "squeeze"})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (
        400,
        "invalid_request",
        "X-Budget-Fit",
    )


@pytest.mark.parametrize("wait_ms", [0, 2000])
async def test_parallel_calls_never_pass_the_limit(
    house: House, start: Start, wait_ms: int
) -> None:
    text = "hi @slow=0.2 @tokens=500"
    limit = Decimal(room_for(400, text=text))
    await house.make(factories.make_budget, limit=str(limit), wait_ms=wait_ms)

    async with start(house) as (client, _, provider):
        answers = await asyncio.gather(
            *(client.chat(text, max_tokens=300, headers=CLAMP) for _ in range(12))
        )
        calls = await client.calls(until=lambda rows: all(r["state"] != "held" for r in rows))
        period = await client.period()
        billed = {line["id"]: line["completion_tokens"] for line in provider.books.lines()}

    granted = [answer for answer in answers if answer.status_code == 200]
    assert granted
    assert {answer.status_code for answer in answers} <= {200, 402, 429}
    for answer in granted:
        said = answer.headers.get("x-budget-fit", "max_tokens=300")
        assert 16 <= billed[answer.headers["x-request-id"]] <= int(said.removeprefix("max_tokens="))
    assert len(calls) == len(answers)  # exactly one record each
    assert len(billed) == len(granted)
    assert period["spent"] <= limit
    assert (period["held"], period["uncertain"]) == (0, 0)


MESSAGES = [{"role": "user", "content": "tell me a long story"}]
CONTENTS = [{"role": "user", "parts": [{"text": "tell me a long story"}]}]
GENERATE = "/v1beta/models/fake-1:generateContent"
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES, "max_completion_tokens": 900}),
    "completions": ("/v1/completions", {"prompt": "tell me a long story", "max_tokens": 900}),
    "responses": ("/v1/responses", {"input": "tell me a long story", "max_output_tokens": 900}),
    "messages": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 900}),
    "gemini": (GENERATE, {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 900}}),
    "unstated": ("/v1/chat/completions", {"messages": MESSAGES}),
}


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_with_an_output_limit_is_shortened(
    committed: None, start: Start, name: str
) -> None:
    house: House = await aside(make_house, kind="demo", base_url="")
    await house.make(factories.make_budget, limit="0.0005")
    path, body = FORMATS[name]

    async with start(house) as (client, _, _):
        model = {} if name == "gemini" else {"model": "fake-1"}
        answer = await client.http.post(path, json={**model, **body}, headers=CLAMP)
        [call] = await client.calls()
        period = await client.period()

    assert answer.status_code == 200, answer.text
    said = int(answer.headers["x-budget-fit"].removeprefix("max_tokens="))
    assert 16 <= said < 300
    assert call["output_tokens"] + call["reasoning_tokens"] <= said
    assert Decimal("0.0005") - WRITTEN < call["hold_amount"] <= Decimal("0.0005")
    assert period["spent"] == call["cost"] <= call["hold_amount"]


async def test_vectors_have_no_length_to_shorten(committed: None, start: Start) -> None:
    house: House = await aside(make_house, kind="demo", base_url="")
    await house.make(factories.make_budget, limit="0.0005")
    body = {"model": "fake-1", "input": "hi"}

    async with start(house) as (client, _, _):
        fits = await client.http.post("/v1/embeddings", json=body, headers=CLAMP)
        body["input"] = "word " * 300
        refused = await client.http.post("/v1/embeddings", json=body, headers=CLAMP)

    assert (fits.status_code, refused.status_code) == (200, 402)
    assert "x-budget-fit" not in fits.headers
