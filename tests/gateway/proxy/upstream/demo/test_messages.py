"""The demo's messages, and its counting of tokens."""

import json

from tests.gateway.proxy.upstream.demo.asking import ARGUMENTS, COUNTS, SCHEMA, WAYS

MESSAGES = WAYS["messages"]


async def test_the_input_of_a_tool_fits_its_schema() -> None:
    answer = json.loads(await (await MESSAGES.ask(**MESSAGES.tool)).read())

    assert answer["stop_reason"] == "tool_use"
    assert answer["content"][0]["input"] == ARGUMENTS


async def test_the_streamed_pieces_of_an_input_are_its_json() -> None:
    raw = await (await MESSAGES.ask(is_stream=True, **MESSAGES.tool)).read()

    data = [json.loads(line[6:]) for line in raw.splitlines() if line.startswith(b"data: ")]
    pieces = [event["delta"].get("partial_json", "") for event in data if "delta" in event]
    assert json.loads("".join(pieces)) == ARGUMENTS


async def test_a_cut_input_is_an_object_all_the_same() -> None:
    answer = json.loads(await (await MESSAGES.ask(**MESSAGES.tool, max_tokens=2)).read())

    assert (answer["stop_reason"], answer["content"][0]["input"]) == ("max_tokens", {})


async def test_a_structured_answer_fits_its_schema() -> None:
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}

    answer = json.loads(await (await MESSAGES.ask(output_config=form)).read())

    assert json.loads(answer["content"][0]["text"]) == ARGUMENTS


async def test_counted_tokens_are_those_that_the_answer_states() -> None:
    counted = json.loads(await (await COUNTS["anthropic"].ask()).read())
    answer = json.loads(await (await MESSAGES.ask()).read())

    assert counted["input_tokens"] == answer["usage"]["input_tokens"]
