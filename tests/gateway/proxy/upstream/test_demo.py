"""The demo upstream behaves like a provider: usage, limits, streams, without any network."""

import json
from typing import Any

import pytest

from attribution.outbound.addresses import Origin
from attribution.prices.tokens import Tokens
from gateway.proxy.bound import Limits, bound
from gateway.proxy.protocols import openai_chat
from gateway.proxy.protocols.openai_stream import Meter
from gateway.proxy.upstream.client import Request
from gateway.proxy.upstream.demo import DemoResponse, open_demo

HELLO = [{"role": "user", "content": "Hello there, demo!"}]


async def ask(**fields: Any) -> DemoResponse:
    """Ask the demo upstream without its pauses."""
    body = json.dumps({"model": "demo", "messages": HELLO, **fields}).encode()
    return await open_demo(Request(Origin("https", "demo", 443), "/", [], body), pace=0)


async def test_the_same_question_gets_the_same_answer() -> None:
    first, second = [json.loads(await (await ask()).read()) for _ in range(2)]

    assert first["choices"] == second["choices"]
    assert first["usage"] == second["usage"]


async def test_usage_is_counted_from_the_text() -> None:
    raw = await (await ask(max_tokens=5)).read()

    assert openai_chat.read_answer(raw).usage == Tokens(input=4 + 5, output=5)
    assert json.loads(raw)["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("choices", [1, 3])
async def test_a_stream_says_the_same_as_a_whole_answer(choices: int) -> None:
    whole = json.loads(await (await ask(n=choices)).read())
    streamed = await ask(n=choices, stream=True, stream_options={"include_usage": True})
    meter = Meter(hides_usage=False)

    while part := await streamed.next():
        meter.feed(part)

    usage = whole["usage"]
    assert meter.is_complete
    assert meter.seen.events == usage["completion_tokens"]
    assert meter.seen.usage == Tokens(
        input=usage["prompt_tokens"], output=usage["completion_tokens"]
    )
    assert len(whole["choices"]) == choices


async def test_usage_is_streamed_only_when_asked_for() -> None:
    assert b'"usage"' not in await (await ask(stream=True)).read()


async def test_the_usage_stays_within_the_bound() -> None:
    body = json.dumps({"model": "demo", "messages": HELLO * 50, "max_tokens": 9}).encode()
    request = openai_chat.parse_request(body, {})

    usage = openai_chat.read_answer(await (await ask(**request.body)).read()).usage

    most = bound(request, openai_chat.size(request), Limits())
    assert usage is not None
    assert usage.input <= most.input_tokens
    assert usage.output <= most.output_tokens


async def test_a_request_without_messages_is_refused_like_a_provider_does() -> None:
    response = await ask(messages=None)

    assert response.status == 400
    assert json.loads(await response.read())["error"]["type"] == "invalid_request_error"


async def test_a_closed_answer_says_no_more() -> None:
    response = await ask(stream=True)
    await response.next()

    response.close()

    assert await response.next() == b""
