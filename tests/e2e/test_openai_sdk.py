"""The official OpenAI SDK, unchanged but for address and key, to a real llama.cpp server and the demo."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pydantic
import pytest
from openai._legacy_response import LegacyAPIResponse
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)

from tests.concurrency.processes import MODEL
from tests.e2e.programs import DEMO, House, cost, demo_cost

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("committed")]
of_the_server = pytest.mark.usefixtures("llama")

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "plan_trip", "parameters": SCHEMA, "strict": True},
}


class Trip(pydantic.BaseModel):
    """What a structured answer must be."""

    city: str
    days: int


@pytest.fixture
def client(house: House) -> Iterator[openai.OpenAI]:
    """Give the SDK address and key, and nothing else."""
    with openai.OpenAI(
        base_url=f"{house.url}/v1", api_key=house.world.token, max_retries=0
    ) as made:
        yield made


def said(text: str) -> list[ChatCompletionMessageParam]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


@of_the_server
def test_a_whole_answer_is_recorded_with_the_usage_the_server_reported(
    client: openai.OpenAI, house: House
) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, max_tokens=12, seed=1, temperature=0, messages=said("hello")
    )

    usage = raw.parse().usage
    record = house.record(raw.headers["x-request-id"])
    assert usage is not None
    assert record["state"] == "settled"
    assert record["is_estimated"] is False
    assert record["model_billed"] == MODEL
    assert record["output_tokens"] == usage.completion_tokens == 12
    expected = cost(usage.prompt_tokens, usage.completion_tokens)
    assert record["cost"] == Decimal(raw.headers["x-cost-usd"]) == expected
    assert usage.model_dump()["cost_usd"] == raw.headers["x-cost-usd"]


@of_the_server
def test_a_stream_is_recorded_and_shows_usage_only_to_who_asked(
    client: openai.OpenAI, house: House
) -> None:
    def stream(*, asks: bool) -> tuple[str, list[ChatCompletionChunk]]:
        with client.chat.completions.with_streaming_response.create(
            model=MODEL,
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": asks},
            messages=said("hello again"),
        ) as raw:
            return raw.headers["x-request-id"], list(raw.parse())

    asked_id, asked = stream(asks=True)
    silent_id, silent = stream(asks=False)

    usage = asked[-1].usage
    assert usage is not None
    assert house.record(asked_id)["cost"] == cost(usage.prompt_tokens, usage.completion_tokens)
    assert all(chunk.usage is None for chunk in silent)
    assert house.record(silent_id)["state"] == "settled"
    assert house.record(silent_id)["output_tokens"] == 12


@of_the_server
def test_the_server_s_cached_tokens_are_told_apart(client: openai.OpenAI, house: House) -> None:
    def ask() -> LegacyAPIResponse[ChatCompletion]:
        return client.chat.completions.with_raw_response.create(
            model=MODEL, max_tokens=4, messages=said("the same long question " * 12)
        )

    ask()
    raw = ask()

    usage = raw.parse().usage
    record = house.record(raw.headers["x-request-id"])
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert record["cache_read_tokens"] == usage.prompt_tokens_details.cached_tokens
    assert usage.prompt_tokens == record["cache_read_tokens"] + record["input_tokens"]


@of_the_server
def test_legacy_completions_are_recorded(client: openai.OpenAI, house: House) -> None:
    raw = client.completions.with_raw_response.create(model=MODEL, prompt="once", max_tokens=8)
    streamed = list(
        client.completions.create(model=MODEL, prompt="once", max_tokens=8, stream=True)
    )

    record = house.record(raw.headers["x-request-id"])
    assert (record["wire_format"], record["output_tokens"]) == ("openai_completions", 8)
    assert streamed[-1].choices[0].finish_reason == "length"
    assert house.last()["output_tokens"] == 8


@of_the_server
def test_responses_are_recorded_whole_and_streamed(client: openai.OpenAI, house: House) -> None:
    raw = client.responses.with_raw_response.create(
        model=MODEL, input="hello", max_output_tokens=12
    )
    whole = raw.parse()
    events = list(
        client.responses.create(model=MODEL, input="hello", max_output_tokens=12, stream=True)
    )

    record = house.record(raw.headers["x-request-id"])
    assert whole.usage is not None
    assert record["wire_format"] == "openai_responses"
    assert record["output_tokens"] == whole.usage.output_tokens == 12
    assert events[0].type == "response.created"
    assert house.last()["output_tokens"] == 12


def test_the_demo_speaks_responses_like_a_provider(client: openai.OpenAI, house: House) -> None:
    with client.responses.stream(model=DEMO, input="Tell me about money.") as stream:
        text = "".join(
            event.delta for event in stream if event.type == "response.output_text.delta"
        )
        answer = stream.get_final_response()

    record = house.last()
    assert answer.usage is not None
    assert answer.output_text == text
    assert record["cost"] == demo_cost(answer.usage.input_tokens, answer.usage.output_tokens)
    assert answer.usage.model_dump()["cost_usd"] == format(record["cost"].normalize(), "f")


def test_embeddings_are_recorded(client: openai.OpenAI, house: House) -> None:
    answer = client.embeddings.create(model=DEMO, input=["money", "more money"], dimensions=16)

    record = house.last()
    assert [len(entry.embedding) for entry in answer.data] == [16, 16]
    assert record["wire_format"] == "openai_embeddings"
    assert record["cost"] == demo_cost(answer.usage.prompt_tokens, 0)


def test_tools_are_called_whole_and_streamed(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": DEMO,
        "messages": said("plan it"),
        "tools": [TOOL],
        "tool_choice": "required",
    }

    whole = client.chat.completions.create(**asked).choices[0]
    with client.chat.completions.stream(**asked) as stream:
        streamed = stream.get_final_completion().choices[0]

    for choice in (whole, streamed):
        (call,) = choice.message.tool_calls or []
        assert choice.finish_reason == "tool_calls"
        assert call.function.name == "plan_trip"
        assert json.loads(call.function.arguments) == {"city": "demo", "days": 1}


def test_structured_answers_are_parsed(client: openai.OpenAI) -> None:
    chat = client.chat.completions.parse(model=DEMO, messages=said("plan it"), response_format=Trip)
    response = client.responses.parse(model=DEMO, input="plan it", text_format=Trip)

    assert chat.choices[0].message.parsed == Trip(city="demo", days=1)
    assert response.output_parsed == Trip(city="demo", days=1)


def test_the_asynchronous_client_streams_many_at_a_time(house: House) -> None:
    async def ask(client: openai.AsyncOpenAI) -> int:
        stream = await client.chat.completions.create(
            model=DEMO, max_tokens=9, messages=said("hi"), stream=True
        )
        return len([chunk async for chunk in stream if chunk.choices[0].delta.content])

    async def run() -> list[int]:
        async with openai.AsyncOpenAI(
            base_url=f"{house.url}/v1", api_key=house.world.token
        ) as client:
            return list(await asyncio.gather(*(ask(client) for _ in range(8))))

    assert asyncio.run(run()) == [9] * 8


def test_errors_are_those_the_sdk_knows(client: openai.OpenAI, house: House) -> None:
    def ask(key: str, model: str = DEMO, **fields: Any) -> None:
        one = client.with_options(api_key=key)
        one.chat.completions.create(model=model, messages=said("hi"), **fields)

    with pytest.raises(openai.AuthenticationError) as wrong_key:
        ask("tk_live_no")
    with pytest.raises(openai.NotFoundError) as wrong_model:
        ask(house.world.token, "no-such-model")
    with pytest.raises(openai.PermissionDeniedError) as not_allowed:
        ask(house.narrow)
    with pytest.raises(openai.BadRequestError) as nonsense:
        ask(house.world.token, extra_body={"max_tokens": "many"})
    with pytest.raises(openai.APIStatusError) as too_much:
        ask(house.poor)

    found = [wrong_key, wrong_model, not_allowed, nonsense, too_much]
    codes = ["invalid_api_key", "unknown_model", "model_not_allowed", "invalid_request"]
    assert [info.value.code for info in found] == [*codes, "budget_exceeded"]
    assert too_much.value.status_code == 402
    assert isinstance(too_much.value.body, dict)
    assert Decimal(too_much.value.body["budget"]["limit"]) == Decimal("0.000001")
    assert wrong_model.value.request_id


def test_a_used_up_budget_is_not_tried_again(house: House) -> None:
    requests: list[int] = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [lambda _: requests.append(1)]})

    with (
        openai.OpenAI(base_url=f"{house.url}/v1", api_key=house.poor, http_client=http) as client,
        pytest.raises(openai.APIStatusError),
    ):
        client.chat.completions.create(model=DEMO, messages=said("hi"))

    assert len(requests) == 1


@of_the_server
def test_an_error_of_the_server_reaches_the_program(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=MODEL, messages=said("word " * 9000), max_tokens=1)

    assert "context" in str(error.value)


@of_the_server
def test_a_client_that_leaves_is_billed_all_the_same(client: openai.OpenAI, house: House) -> None:
    with client.chat.completions.with_streaming_response.create(
        model=MODEL,
        max_tokens=3000,
        stream=True,
        extra_body={"ignore_eos": True},
        messages=said("write on"),
    ) as raw:
        call_id = raw.headers["x-request-id"]
        next(raw.iter_lines())

    record = house.record(call_id)
    assert record["state"] == "settled"
    assert record["is_estimated"] is True
    assert record["cost"] > 0


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert {MODEL, DEMO} <= {model.id for model in client.models.list()}
