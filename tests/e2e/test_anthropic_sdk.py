"""The official Anthropic SDK, unchanged but for address and key, to a real llama.cpp server and the demo."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam

from tests.concurrency.processes import MODEL
from tests.e2e.programs import CLAUDE, DEMO, House, cost, demo_cost

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("committed")]
of_the_server = pytest.mark.usefixtures("llama")

TOOL: ToolParam = {
    "name": "plan_trip",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    },
}


@pytest.fixture
def client(house: House) -> Iterator[anthropic.Anthropic]:
    """Give the SDK address and key, and nothing else."""
    with anthropic.Anthropic(base_url=house.url, api_key=house.world.token, max_retries=0) as made:
        yield made


def said(text: str) -> list[MessageParam]:
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


@of_the_server
def test_a_whole_answer_is_recorded_with_the_usage_the_server_reported(
    client: anthropic.Anthropic, house: House
) -> None:
    raw = client.messages.with_raw_response.create(
        model=CLAUDE, max_tokens=12, messages=said("hello, messages"), system="be brief"
    )

    usage = raw.parse().usage
    record = house.record(raw.headers["x-request-id"])
    cached = usage.cache_read_input_tokens or 0
    assert (record["state"], record["wire_format"]) == ("settled", "anthropic_messages")
    assert record["model_billed"] == MODEL
    assert (record["input_tokens"], record["output_tokens"]) == (usage.input_tokens, 12)
    assert record["cache_read_tokens"] == cached
    expected = cost(usage.input_tokens, 12, cached=cached)
    assert record["cost"] == Decimal(raw.headers["x-cost-usd"]) == expected
    assert usage.model_dump()["cost_usd"] == raw.headers["x-cost-usd"]


@of_the_server
def test_cached_tokens_stand_beside_the_input(client: anthropic.Anthropic, house: House) -> None:
    """The same server counts them inside its input when it speaks OpenAI's format."""
    question = said("one long question about money " * 12)

    client.messages.create(model=CLAUDE, max_tokens=4, messages=question)
    raw = client.messages.with_raw_response.create(model=CLAUDE, max_tokens=4, messages=question)

    usage = raw.parse().usage
    record = house.record(raw.headers["x-request-id"])
    assert record["cache_read_tokens"] == usage.cache_read_input_tokens
    assert record["cache_read_tokens"] > 10
    assert record["input_tokens"] == usage.input_tokens < record["cache_read_tokens"]


@of_the_server
def test_a_stream_is_recorded(client: anthropic.Anthropic, house: House) -> None:
    with client.messages.stream(
        model=CLAUDE, max_tokens=12, messages=said("hello, stream")
    ) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    record = house.last()
    assert message.usage.output_tokens == record["output_tokens"] == 12
    assert text
    assert record["is_estimated"] is False


@of_the_server
def test_tokens_are_counted_and_free(client: anthropic.Anthropic, house: House) -> None:
    real = client.messages.count_tokens(model=CLAUDE, messages=said("hello"))
    free = house.last()
    demo = client.messages.count_tokens(model=DEMO, messages=said("hello"))

    assert real.input_tokens > 0
    assert demo.input_tokens == 5
    assert free["wire_format"] == "anthropic_count_tokens"
    assert free["cost"] == 0


def test_tools_are_called_whole_and_streamed(client: anthropic.Anthropic, house: House) -> None:
    asked: dict[str, Any] = {
        "model": DEMO,
        "max_tokens": 100,
        "messages": said("plan it"),
        "tools": [TOOL],
        "tool_choice": {"type": "tool", "name": "plan_trip"},
    }

    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()

    for message in (whole, streamed):
        (block,) = message.content
        assert (message.stop_reason, block.type) == ("tool_use", "tool_use")
        assert block.model_dump()["input"] == {"city": "demo", "days": 1}
    usage = streamed.usage
    assert house.last()["cost"] == demo_cost(usage.input_tokens, usage.output_tokens)


def test_errors_are_those_the_sdk_knows(client: anthropic.Anthropic, house: House) -> None:
    def ask(key: str, model: str = DEMO, **fields: Any) -> None:
        one = client.with_options(api_key=key)
        one.messages.create(model=model, max_tokens=9, messages=said("hi"), **fields)

    with pytest.raises(anthropic.AuthenticationError) as wrong_key:
        ask("tk_live_no")
    with pytest.raises(anthropic.NotFoundError) as wrong_model:
        ask(house.world.token, "no-such-model")
    with pytest.raises(anthropic.PermissionDeniedError) as not_allowed:
        ask(house.narrow)
    with pytest.raises(anthropic.BadRequestError) as nonsense:
        ask(house.world.token, extra_body={"max_tokens": "many"})
    with pytest.raises(anthropic.APIStatusError) as too_much:
        ask(house.poor)

    errors: list[Any] = [
        info.value.body for info in (wrong_key, wrong_model, not_allowed, nonsense, too_much)
    ]
    assert [error["error"]["type"] for error in errors] == [
        "authentication_error",
        "not_found_error",
        "permission_error",
        "invalid_request_error",
        "billing_error",
    ]
    assert too_much.value.status_code == 402
    assert errors[-1]["error"]["code"] == "budget_exceeded"
    assert Decimal(errors[-1]["error"]["budget"]["limit"]) == Decimal("0.000001")


def test_a_used_up_budget_stops_a_stream_before_it_begins(house: House) -> None:
    with (
        anthropic.Anthropic(base_url=house.url, api_key=house.poor, max_retries=0) as client,
        pytest.raises(anthropic.APIStatusError) as refusal,
        client.messages.stream(model=DEMO, max_tokens=9, messages=said("hi")),
    ):
        pass

    assert refusal.value.status_code == 402


@of_the_server
def test_an_error_of_the_server_reaches_the_program(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as error:
        client.messages.create(model=CLAUDE, max_tokens=1, messages=said("word " * 9000))

    assert "context" in str(error.value)


def test_a_bearer_token_is_a_key_as_well(house: House) -> None:
    with anthropic.Anthropic(base_url=house.url, auth_token=house.world.token) as client:
        message = client.messages.create(model=DEMO, max_tokens=9, messages=said("hi"))

    assert message.usage.output_tokens == 9
