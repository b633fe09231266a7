"""Every wire format through the front door: reached, answered in its own shape, billed, refused."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, Client, aside, make_house

HELLO = [{"role": "user", "content": "hi"}]
CONTENT = {"parts": [{"text": "hi"}]}
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/v1/messages": {"messages": HELLO, "max_tokens": 20},
    f"/v1beta/models/{MODEL}:generateContent": {"contents": [CONTENT]},
    f"/v1beta/models/{MODEL}:embedContent": {"content": CONTENT},
    f"/v1beta/models/{MODEL}:batchEmbedContents": {"requests": [{"content": CONTENT}]},
}
FREE: dict[str, dict[str, Any]] = {
    "/v1/messages/count_tokens": {"messages": HELLO},
    f"/v1beta/models/{MODEL}:countTokens": {"contents": [CONTENT]},
}
STREAMED: dict[str, dict[str, Any]] = {
    **{path: {**ASKED[path], "stream": True} for path in list(ASKED)[:3]},
    "/v1/messages": {**ASKED["/v1/messages"], "stream": True},
    f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse": {"contents": [CONTENT]},
    f"/v1beta/models/{MODEL}:streamGenerateContent": {"contents": [CONTENT]},
}
FORMATS = {
    "completions": "openai_completions",
    "chat": "openai_chat",
    "responses": "openai_responses",
    "embeddings": "openai_embeddings",
    "messages": "anthropic_messages",
    "count_tokens": "anthropic_count_tokens",
    "generateContent": "gemini_generate",
    "streamGenerateContent": "gemini_generate",
    "embedContent": "gemini_embeddings",
    "batchEmbedContents": "gemini_embeddings",
    "countTokens": "gemini_count_tokens",
}


@pytest.fixture
async def demo(committed: None, start: Start) -> AsyncIterator[Client]:
    """Give a client of an organization whose model answers in every format."""
    house = await aside(make_house, kind="demo", base_url="")
    async with start(house) as (client, _, _):
        yield client


async def ask(client: Client, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    """Make a call; all but Gemini name the model in the body."""
    named = {} if path.startswith("/v1beta") else {"model": MODEL}
    return await client.http.post(path, json={**named, **body}, headers=headers)


def format_of(path: str) -> str:
    """Return what records call the format of a path."""
    last = path.partition("?")[0].replace(":", "/").rpartition("/")[2]
    return FORMATS["chat" if path == "/v1/chat/completions" else last]


def kind_of(answer: httpx.Response) -> str:
    """Return the dialect that a refusal has the shape of."""
    body = answer.json()
    if body.get("type") == "error":
        return "anthropic"
    return "gemini" if isinstance(body["error"]["code"], int) else "openai"


def dialect_of(path: str) -> str:
    """Return the dialect that a path speaks."""
    if path.startswith("/v1beta"):
        return "gemini"
    return "anthropic" if path.startswith("/v1/messages") else "openai"


@pytest.mark.parametrize("path", ASKED)
async def test_a_call_is_answered_and_booked_under_its_format(demo: Client, path: str) -> None:
    answer = await ask(demo, path, ASKED[path])

    assert answer.status_code == 200, answer.text
    [call] = await demo.calls()
    assert (call["wire_format"], call["state"], call["is_estimated"]) == (
        format_of(path),
        "settled",
        False,
    )
    used = call["input_tokens"] + 2 * call["output_tokens"]
    assert call["input_tokens"] > 0
    assert call["cost"] == Decimal(used) / 1_000_000
    assert answer.headers["x-cost-usd"] == format(call["cost"].normalize(), "f")
    assert str(call["call_id"]) == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", STREAMED)
async def test_a_stream_ends_after_it_is_booked(demo: Client, path: str) -> None:
    answer = await ask(demo, path, STREAMED[path])

    is_array = path.endswith("streamGenerateContent")
    kind = "application/json" if is_array else "text/event-stream"
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.text.startswith("[") is is_array
    [call] = await demo.calls()
    assert (call["wire_format"], call["is_stream"]) == (format_of(path), True)
    assert (call["state"], call["cost_source"]) == ("settled", "usage")
    asks_for_usage = format_of(path) in {"openai_chat", "openai_completions"}
    assert ("cost_usd" in answer.text) is not asks_for_usage
    if is_array:
        pieces = json.loads(answer.text)
        assert pieces[-1]["usageMetadata"]["cost_center"] == "MARKETING"


@pytest.mark.parametrize("path", FREE)
async def test_counting_is_free_even_where_nothing_is_left_and_nothing_has_a_price(
    demo: Client, path: str
) -> None:
    await demo.house.make(factories.make_budget, limit="0")
    await demo.house.make(factories.make_route, name="mystery", upstream=demo.house.upstream)
    strange = path.replace(MODEL, "mystery")

    answer = await ask(demo, strange, {**FREE[path], "model": "mystery"})

    assert answer.status_code == 200, answer.text
    [call] = await demo.calls()
    assert (call["wire_format"], call["state"]) == (format_of(path), "settled")
    assert (call["cost"], call["hold_amount"], call["input_tokens"]) == (0, 0, 0)
    period = await demo.period()
    assert (period["spent"], period["held"]) == (0, 0)


@pytest.mark.parametrize("path", [*ASKED, *FREE])
async def test_a_kind_is_not_asked_for_what_it_does_not_speak(office: Client, path: str) -> None:
    answer = await ask(office, path, {**ASKED, **FREE}[path])

    if dialect_of(path) == "openai":
        assert answer.status_code != 404
    else:
        assert answer.status_code == 404
        assert kind_of(answer) == dialect_of(path)
        assert await office.calls() == []


@pytest.mark.parametrize("path", [*ASKED, *FREE])
async def test_a_refusal_has_the_shape_of_the_path(demo: Client, path: str) -> None:
    broken = await demo.http.post(path, content=b"{")
    unknown = await ask(
        demo, path.replace(MODEL, "nobody"), {**ASKED, **FREE}[path] | {"model": "nobody"}
    )
    empty = await ask(demo, path, {"model": MODEL})

    answers = [broken, unknown, empty]
    assert [answer.status_code for answer in answers] == [400, 404, 400]
    assert {kind_of(answer) for answer in answers} == {dialect_of(path)}


async def test_a_used_up_budget_is_told_in_each_dialect(demo: Client) -> None:
    await demo.house.make(factories.make_budget, limit="0")

    for path, body in ASKED.items():
        answer = await ask(demo, path, body)
        assert (answer.status_code, kind_of(answer)) == (402, dialect_of(path))
        assert Decimal(answer.json()["error"]["budget"]["limit"]) == 0


async def test_a_model_with_unseen_characters_is_refused_even_where_any_name_is_routed(
    demo: Client,
) -> None:
    await demo.house.make(factories.make_route, name="*", upstream=demo.house.upstream)

    body = {"model": "a\x00b", "messages": HELLO}
    answers = [
        await demo.http.post("/v1/chat/completions", json=body),
        await demo.http.post("/v1/messages", json={**body, "max_tokens": 1}),
        await demo.http.post("/v1beta/models/a%00b:generateContent", json={"contents": [CONTENT]}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert await demo.calls() == []
