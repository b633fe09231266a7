"""The official Google SDK (`google-genai`), unchanged but for address and key, to the demo."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from google import genai
from google.genai import errors, types

from tests.e2e.programs import DEMO, House, demo_cost

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("committed")]

ANY = types.FunctionCallingConfigMode.ANY


class Trip(pydantic.BaseModel):
    """What a structured answer must be."""

    city: str
    days: int


def made(house: House, key: str) -> genai.Client:
    """Give the SDK address and key, and nothing else."""
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=house.url))


@pytest.fixture
def client(house: House) -> Iterator[genai.Client]:
    """Give a client of the house."""
    one = made(house, house.world.token)
    yield one
    one.close()


def used(answer: types.GenerateContentResponse) -> tuple[int, int]:
    """Return what an answer says it used."""
    usage = answer.usage_metadata
    assert usage is not None
    return usage.prompt_token_count or 0, usage.candidates_token_count or 0


def test_a_whole_answer_is_recorded(client: genai.Client, house: House) -> None:
    answer = client.models.generate_content(
        model=DEMO,
        contents="hello",
        config=types.GenerateContentConfig(
            system_instruction="be brief", max_output_tokens=12, temperature=0
        ),
    )

    record = house.last()
    assert answer.text
    assert used(answer)[1] == record["output_tokens"] == 12
    assert (record["state"], record["wire_format"]) == ("settled", "gemini_generate")
    assert record["cost"] == demo_cost(*used(answer))
    assert answer.sdk_http_response is not None
    headers = answer.sdk_http_response.headers or {}
    assert headers["x-cost-usd"] == format(record["cost"].normalize(), "f")


def test_a_stream_is_recorded(client: genai.Client, house: House) -> None:
    pieces = list(client.models.generate_content_stream(model=DEMO, contents="hello, stream"))

    record = house.last()
    assert len(pieces) > 10
    assert record["output_tokens"] == used(pieces[-1])[1] == len(pieces)
    assert record["cost"] == demo_cost(*used(pieces[-1]))


def test_a_chat_goes_on(client: genai.Client) -> None:
    chat = client.chats.create(model=DEMO)

    first, second = chat.send_message("one"), chat.send_message("two")

    assert used(second)[0] > used(first)[0]


def test_functions_are_called(client: genai.Client) -> None:
    plan = types.FunctionDeclaration(
        name="plan_trip",
        parameters=types.Schema(
            type=types.Type.OBJECT,
            properties={
                "city": types.Schema(type=types.Type.STRING),
                "days": types.Schema(type=types.Type.INTEGER),
            },
        ),
    )
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[plan])],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=ANY)),
    )

    whole = client.models.generate_content(model=DEMO, contents="plan it", config=config)
    pieces = client.models.generate_content_stream(model=DEMO, contents="plan it", config=config)

    for answer in (whole, *pieces):
        (call,) = answer.function_calls or []
        assert (call.name, call.args) == ("plan_trip", {"city": "demo", "days": 1})


def test_a_function_of_python_is_called_by_the_sdk_itself(client: genai.Client) -> None:
    heard: list[str] = []

    def tell(city: str) -> str:
        """Tell about a city."""
        heard.append(city)
        return "It is a city."

    config = types.GenerateContentConfig(
        tools=[tell],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=ANY)),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(maximum_remote_calls=2),
    )

    client.chats.create(model=DEMO, config=config).send_message("tell me")

    assert set(heard) == {"demo"}


def test_structured_answers_are_parsed(client: genai.Client) -> None:
    answer = client.models.generate_content(
        model=DEMO,
        contents="plan it",
        config=types.GenerateContentConfig(
            response_mime_type="application/json", response_schema=Trip
        ),
    )

    assert answer.parsed == Trip(city="demo", days=1)


def test_embeddings_are_recorded(client: genai.Client, house: House) -> None:
    answer = client.models.embed_content(
        model=DEMO,
        contents=["money", "more money"],
        config=types.EmbedContentConfig(output_dimensionality=16),
    )

    record = house.last()
    assert [len(one.values or []) for one in answer.embeddings or []] == [16, 16]
    assert record["wire_format"] == "gemini_embeddings"
    assert record["cost"] == demo_cost(record["input_tokens"], 0) > 0


def test_tokens_are_counted_and_free(client: genai.Client, house: House) -> None:
    counted = client.models.count_tokens(model=DEMO, contents="hello")

    assert counted.total_tokens == 5
    assert house.last()["cost"] == 0


def test_errors_are_those_the_sdk_knows(house: House) -> None:
    def refused(key: str, model: str = DEMO, **config: Any) -> errors.ClientError:
        client = made(house, key)
        with pytest.raises(errors.ClientError) as info:
            client.models.generate_content(
                model=model, contents="hi", config=types.GenerateContentConfig(**config)
            )
        client.close()
        return info.value

    found = [
        refused("tk_live_no"),
        refused(house.world.token, "no-such-model"),
        refused(house.narrow),
        refused(house.poor),
    ]

    assert [(error.code, error.status) for error in found] == [
        (401, "UNAUTHENTICATED"),
        (404, "NOT_FOUND"),
        (403, "PERMISSION_DENIED"),
        (402, "PERMISSION_DENIED"),
    ]
    assert found[-1].details["error"]["reason"] == "budget_exceeded"
    assert Decimal(found[-1].details["error"]["budget"]["limit"]) == Decimal("0.000001")
