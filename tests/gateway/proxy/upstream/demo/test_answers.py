"""In every format the demo behaves like a provider: usage, limits, streams, refusals, offline."""

import json
from typing import Any

import pytest

from attribution.outbound.addresses import Origin
from attribution.prices.tokens import Tokens
from gateway.proxy.bound import Limits, bound
from gateway.proxy.protocols.wire import Seen
from gateway.proxy.upstream.client import Request
from gateway.proxy.upstream.demo.answers import ANSWERS, open_demo
from tests.gateway.proxy.upstream.demo.asking import EMBEDDINGS, WAYS, Way

every_way = pytest.mark.parametrize(
    "way", [pytest.param(way, id=name) for name, way in WAYS.items()]
)


async def seen_whole(way: Way, **fields: Any) -> Seen:
    """Ask for a whole answer and read it as the gateway does."""
    return way.format.read_answer(await (await way.ask(**fields)).read())


async def seen_stream(way: Way, **fields: Any) -> tuple[Seen, list[bytes]]:
    """Ask for a stream and meter it as the gateway does."""
    asked, _ = way.asked(is_stream=True, **fields)
    meter, parts = way.format.meter(asked), []
    response = await way.ask(is_stream=True, **fields)
    while part := await response.next():
        parts.append(part)
        meter.feed(part)
    meter.end()
    assert meter.is_complete
    return meter.seen, parts


@every_way
async def test_a_whole_answer_states_its_usage(way: Way) -> None:
    seen = await seen_whole(way)

    assert seen.usage is not None
    assert seen.usage.input > 4
    assert seen.usage.output > 10


@every_way
async def test_a_stream_states_the_usage_of_the_whole_answer_one_token_each(way: Way) -> None:
    seen, parts = await seen_stream(way)

    assert seen.usage == (await seen_whole(way)).usage
    assert seen.usage is not None
    assert seen.events == seen.usage.output
    assert len(parts) >= seen.events


@every_way
async def test_the_limit_of_the_call_ends_the_answer(way: Way) -> None:
    fields = way.few(5)
    _, request = way.asked(**fields)
    prompts = 2 if request.path == "/completions" else 1

    whole, (streamed, _) = await seen_whole(way, **fields), await seen_stream(way, **fields)

    assert whole.usage == streamed.usage
    assert whole.usage is not None
    assert whole.usage.output == 5 * prompts


@every_way
async def test_the_usage_stays_within_the_bound(way: Way) -> None:
    fields = {**way.few(900), **way.tool}
    asked, _ = way.asked(**fields)

    usage = (await seen_whole(way, **fields)).usage

    most = bound(asked, way.format.size(asked), Limits())
    assert usage is not None
    assert usage.input <= most.input_tokens
    assert usage.output <= most.output_tokens


@every_way
async def test_the_same_question_gets_the_same_answer(way: Way) -> None:
    first, second = [json.loads(await (await way.ask()).read()) for _ in range(2)]
    for answer in (first, second):
        for clock in ("created", "created_at"):
            answer.pop(clock, None)

    assert first == second


@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.tool])
async def test_a_demanded_tool_is_called_whole_and_streamed_at_the_same_usage(name: str) -> None:
    way = WAYS[name]

    raw = await (await way.ask(**way.tool)).read()
    streamed, _ = await seen_stream(way, **way.tool)
    head = (await way.ask(is_stream=True, **way.tool)).headers

    assert head == [(b"content-type", b"text/event-stream")]
    assert b"plan_trip" in raw
    assert b"city" in raw
    assert streamed.usage == way.format.read_answer(raw).usage


@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.tool])
async def test_a_tool_that_is_only_offered_is_not_called(name: str) -> None:
    way = WAYS[name]
    offered = {"tools": way.tool["tools"]}

    raw = await (await way.ask(**offered)).read()

    assert b"city" not in json.dumps(json.loads(raw).get("output", raw.decode())).encode()


@pytest.mark.parametrize("way", EMBEDDINGS.values(), ids=EMBEDDINGS)
async def test_embeddings_use_input_only(way: Way) -> None:
    usage = (await seen_whole(way)).usage

    assert usage is not None
    assert usage == Tokens(input=usage.input)
    assert usage.input > 4


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/chat/completions", {"type": "invalid_request_error"}),
        ("/responses", {"type": "invalid_request_error"}),
        ("/messages", {"type": "invalid_request_error"}),
        ("/models/demo:generateContent", {"status": "INVALID_ARGUMENT", "code": 400}),
        ("/models/demo:embedContent", {"status": "INVALID_ARGUMENT", "code": 400}),
    ],
)
async def test_a_request_without_its_question_is_refused_as_a_provider_does(
    path: str, members: dict[str, object]
) -> None:
    response = await open_demo(Request(Origin("https", "demo", 443), path, [], b"{}"), pace=0)

    error = json.loads(await response.read())["error"]
    assert response.status == 400
    assert members.items() <= error.items()


async def test_an_unknown_path_is_not_found() -> None:
    request = Request(Origin("https", "demo", 443), "/images", [], b"{}")

    assert (await open_demo(request, pace=0)).status == 404


@pytest.mark.parametrize("path", ANSWERS)
async def test_nonsense_is_answered_or_refused_but_breaks_nothing(path: str) -> None:
    shapes: list[object] = [None, 7, "x", [7, None, [1], {"role": 3}], {"a": {"b": [None]}}]
    names = [
        *("messages", "prompt", "input", "contents", "content", "requests", "tools", "n"),
        *("max_tokens", "tool_choice", "response_format", "system", "generationConfig"),
    ]
    for value in shapes:
        for other in shapes:
            body = {name: (value if i % 2 else other) for i, name in enumerate(names)}
            raw = json.dumps({**body, "stream": value is None}).encode()
            request = Request(Origin("https", "demo", 443), path, [], raw)
            response = await open_demo(request, pace=0)
            assert response.status in {200, 400}
            assert await response.read()
