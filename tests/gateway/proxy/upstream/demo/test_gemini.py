"""The demo's content in Gemini's format."""

import json

import pytest

from tests.gateway.proxy.upstream.demo.asking import ARGUMENTS, COUNTS, SCHEMA, WAYS

GEMINI, ARRAY = WAYS["gemini"], WAYS["gemini_array"]


async def test_an_array_holds_the_pieces_of_the_events() -> None:
    elements = json.loads(await (await ARRAY.ask(is_stream=True)).read())
    raw = await (await GEMINI.ask(is_stream=True, systemInstruction=None)).read()
    events = [json.loads(part[6:]) for part in raw.split(b"\r\n\r\n") if part]

    assert elements == events
    assert elements[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("name", ["parameters", "parametersJsonSchema", "parameters_json_schema"])
async def test_the_arguments_of_a_function_fit_its_schema(name: str) -> None:
    declared = [{"name": "plan_trip", name: SCHEMA}]
    tool = {**GEMINI.tool, "tools": [{"functionDeclarations": declared}]}

    answer = json.loads(await (await GEMINI.ask(**tool)).read())

    (part,) = answer["candidates"][0]["content"]["parts"]
    assert part["functionCall"] == {"name": "plan_trip", "args": ARGUMENTS}


async def test_a_structured_answer_fits_its_schema() -> None:
    config = {"responseMimeType": "application/json", "responseSchema": SCHEMA}

    answer = json.loads(await (await GEMINI.ask(generationConfig=config)).read())

    assert json.loads(answer["candidates"][0]["content"]["parts"][0]["text"]) == ARGUMENTS


async def test_candidates_are_all_billed() -> None:
    config = {"candidateCount": 2, "maxOutputTokens": 6}

    answer = json.loads(await (await GEMINI.ask(generationConfig=config)).read())

    assert [candidate["index"] for candidate in answer["candidates"]] == [0, 1]
    assert answer["usageMetadata"]["candidatesTokenCount"] == 12


async def test_counted_tokens_are_those_that_the_answer_states() -> None:
    counted = json.loads(await (await COUNTS["gemini"].ask()).read())
    answer = json.loads(await (await ARRAY.ask()).read())

    assert counted["totalTokens"] == answer["usageMetadata"]["promptTokenCount"]
