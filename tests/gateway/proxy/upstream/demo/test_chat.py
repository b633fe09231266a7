"""The demo's chat and legacy completions."""

import json
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import openai_chat
from tests.gateway.proxy.upstream.demo.asking import ARGUMENTS, CHAT_TOOL, SCHEMA, WAYS

CHAT, COMPLETIONS = WAYS["chat"], WAYS["completions"]
HELLO = [{"role": "user", "content": "Hello there, demo!"}]


async def answered(**fields: Any) -> dict[str, Any]:
    """Return a whole answer of the chat."""
    answer: dict[str, Any] = json.loads(await (await CHAT.ask(**fields)).read())
    return answer


async def test_usage_is_counted_from_the_text() -> None:
    raw = await (await CHAT.ask(messages=HELLO, max_tokens=5)).read()

    assert openai_chat.read_answer(raw).usage == Tokens(input=4 + 5, output=5)
    assert json.loads(raw)["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("choices", [1, 3])
async def test_every_choice_is_billed(choices: int) -> None:
    answer = await answered(n=choices, max_tokens=7)

    assert len(answer["choices"]) == choices
    assert answer["usage"]["completion_tokens"] == 7 * choices


async def test_usage_is_streamed_only_when_asked_for() -> None:
    request = CHAT.asked(is_stream=True)[1]
    assert b"include_usage" in request.body  # the gateway asks always

    raw = await (await CHAT.ask(stream=True)).read()

    assert b'"usage"' in raw


async def test_the_arguments_of_a_tool_fit_its_schema() -> None:
    answer = await answered(**CHAT.tool)

    choice = answer["choices"][0]
    function = choice["message"]["tool_calls"][0]["function"]
    assert choice["finish_reason"] == "tool_calls"
    assert (function["name"], json.loads(function["arguments"])) == ("plan_trip", ARGUMENTS)


async def test_the_named_tool_is_called_among_others() -> None:
    other = {"type": "function", "function": {"name": "other", "parameters": {}}}
    named = {"type": "function", "function": {"name": "plan_trip"}}

    answer = await answered(tools=[other, CHAT_TOOL], tool_choice=named)

    call = answer["choices"][0]["message"]["tool_calls"][0]
    assert call["function"]["name"] == "plan_trip"


async def test_a_structured_answer_fits_its_schema() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA}}

    answer = await answered(response_format=form)

    assert json.loads(answer["choices"][0]["message"]["content"]) == ARGUMENTS


async def test_legacy_completions_answer_every_prompt_as_often_as_asked() -> None:
    answer = json.loads(await (await COMPLETIONS.ask(n=2, max_tokens=3)).read())

    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["usage"]["completion_tokens"] == 12


async def test_a_prompt_of_tokens_is_as_long_as_it_is() -> None:
    answer = json.loads(await (await COMPLETIONS.ask(prompt=[1, 2, 3])).read())

    assert answer["usage"]["prompt_tokens"] == 4 + 3


async def test_a_closed_answer_says_no_more() -> None:
    response = await CHAT.ask(is_stream=True)
    await response.next()

    response.close()

    assert await response.next() == b""
