"""The demo's responses."""

import json
from typing import Any

from tests.gateway.proxy.upstream.demo.asking import ARGUMENTS, SCHEMA, WAYS

RESPONSES = WAYS["responses"]


async def events(**fields: Any) -> list[dict[str, Any]]:
    """Return the events of a stream."""
    raw = await (await RESPONSES.ask(is_stream=True, **fields)).read()
    return [json.loads(line[6:]) for line in raw.splitlines() if line.startswith(b"data: ")]


async def test_the_events_are_numbered_and_end_with_the_whole_answer() -> None:
    found = await events()

    said = "".join(event["delta"] for event in found if event["type"].endswith(".delta"))
    last = found[-1]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert last["type"] == "response.completed"
    assert last["response"]["output"][0]["content"][0]["text"] == said


async def test_a_limit_makes_the_answer_incomplete() -> None:
    last = (await events(max_output_tokens=4))[-1]

    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_the_arguments_of_a_tool_fit_its_schema() -> None:
    answer = json.loads(await (await RESPONSES.ask(**RESPONSES.tool)).read())

    call = answer["output"][0]
    assert (call["type"], call["name"]) == ("function_call", "plan_trip")
    assert json.loads(call["arguments"]) == ARGUMENTS


async def test_a_structured_answer_fits_its_schema() -> None:
    form = {"format": {"type": "json_schema", "name": "trip", "schema": SCHEMA}}

    answer = json.loads(await (await RESPONSES.ask(text=form)).read())

    assert json.loads(answer["output"][0]["content"][0]["text"]) == ARGUMENTS
