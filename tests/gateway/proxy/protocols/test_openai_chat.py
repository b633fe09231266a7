"""OpenAI chat: what is asked, what is sent, what is metered and shown."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import openai_chat
from gateway.proxy.protocols.wire import Asked, Costs, Format, InvalidRequestError, Sending

FORMAT: Format = openai_chat
COSTS = Costs(cost_usd="0.0000015", cost_center="RND", request_id="r-1")
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


def asked(**fields: Any) -> Asked:
    """Return a parsed request."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return openai_chat.parse_request(json.dumps(body).encode(), {})


def sent(request: Asked, sending: Sending) -> dict[str, Any]:
    """Return the body that is sent."""
    found: dict[str, Any] = json.loads(openai_chat.outgoing(request, sending))
    return found


def test_a_request_says_what_it_asks() -> None:
    request = asked(
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=7,
        n=2,
        cost_center="RND",
        metadata={"feature": "chat"},
    )

    assert (request.model, request.is_stream, request.wants_usage) == ("m", True, True)
    assert (request.max_output, request.choices) == (7, 2)
    assert request.attribution == {"cost_center": "RND", "metadata": {"feature": "chat"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"n": -1}, "n"),
        ({"stream_options": []}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "include_usage"),
        ({"metadata": "x"}, "metadata"),
        ({"cost_center": 5}, "cost_center"),
        ({"tools": 7}, "tools"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        asked(**fields)

    assert refusal.value.param == param


def test_what_is_sent_is_the_parsed_body_without_our_fields() -> None:
    request = asked(cost_center="RND", user_id="u", request_path="/p", user="u", temperature=0.5)

    body = sent(request, Sending("m-1", strip=frozenset({"temperature"})))

    messages = [{"role": "user", "content": "hi"}]
    assert body == {"model": "m-1", "messages": messages, "user": "u"}


def test_metadata_is_sent_only_where_the_provider_stores_the_call() -> None:
    assert "metadata" not in sent(asked(metadata={"a": "b"}), Sending("m"))
    assert sent(asked(metadata={"a": "b"}, store=True), Sending("m"))["metadata"] == {"a": "b"}


def test_the_limit_is_set_in_the_field_that_the_client_used() -> None:
    limited = Sending("m", max_output=5, max_field="max_completion_tokens")

    assert sent(asked(max_tokens=9), limited)["max_tokens"] == 5
    assert sent(asked(max_tokens=3), limited)["max_tokens"] == 3
    assert sent(asked(), limited)["max_completion_tokens"] == 5
    assert sent(asked(max_tokens=None), Sending("m", max_output=5))["max_tokens"] == 5


def test_a_stream_asks_for_its_usage_where_the_upstream_can() -> None:
    request = asked(stream=True, stream_options={"include_obfuscation": False})

    assert sent(request, Sending("m"))["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }
    assert "stream_options" not in sent(asked(stream=True), Sending("m", injects_usage=False))
    assert "stream_options" not in sent(asked(), Sending("m"))
    assert request.body["stream_options"] == {"include_obfuscation": False}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, None),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, None),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": ["function"]}]}, "tools[0].type"),
        ({"n_predict": 5}, "n_predict"),
        ({"max_output_tokens": 5}, "max_output_tokens"),
    ],
)
def test_what_leaves_the_bill_open_is_named(fields: dict[str, Any], named: str | None) -> None:
    assert openai_chat.size(asked(**fields)).unbounded == named


@pytest.mark.parametrize(
    ("content", "media"),
    [
        ("text", None),
        ([{"type": "text", "text": "hi"}], None),
        ([{"type": "text", "text": "hi"}, {"type": "image_url"}], "messages[0].content[1]"),
        ([{"type": ["text"]}], "messages[0].content[0]"),
        ({"type": "file"}, "messages[0].content[0]"),
        (5, "messages[0].content[0]"),
    ],
)
def test_what_is_no_text_is_named(content: Any, media: str | None) -> None:
    request = asked(messages=[{"role": "user", "content": content}])

    assert openai_chat.size(request).media == media


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_size_is_never_below_the_bytes_of_the_text(text: str) -> None:
    request = asked(messages=[{"role": "user", "content": text}], tools=[{"d": text}])

    assert openai_chat.size(request).text_bytes >= 2 * len(text.encode())


def test_the_system_prompt_is_what_the_fingerprint_sees() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "and kind"}]},
        {"role": ["system"], "content": "x"},
    ]

    text = openai_chat.system_text(asked(messages=messages))

    assert text == 'be brief\n[{"type":"text","text":"and kind"}]'


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (USAGE, Tokens(input=10, output=4)),
        ({**USAGE, "prompt_tokens": -1}, None),
        ({**USAGE, "prompt_tokens": True}, None),
        ({**USAGE, "completion_tokens": "4"}, None),
        ({**USAGE, "completion_tokens": 4.0}, None),
        ({**USAGE, "completion_tokens": 10**9 + 1}, None),
        ({"prompt_tokens": 10}, None),
        ([], None),
        (None, None),
        (
            {**USAGE, "prompt_tokens_details": {"cached_tokens": -5, "audio_tokens": "x"}},
            Tokens(input=10, output=4),
        ),
        (
            {**USAGE, "prompt_tokens_details": {"cached_tokens": 99}},
            Tokens(cache_read=99, output=4),
        ),
        (
            {
                **USAGE,
                "prompt_tokens_details": {
                    "cached_tokens": 6,
                    "audio_tokens": 3,
                    "cached_tokens_details": {"audio_tokens": 2},
                },
                "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 2},
            },
            Tokens(
                input=3,
                cache_read=4,
                audio_input=1,
                audio_cache_read=2,
                output=1,
                reasoning=1,
                audio_output=2,
            ),
        ),
    ],
)
def test_usage_becomes_disjoint_classes_or_is_missing(usage: Any, tokens: Tokens | None) -> None:
    body = json.dumps({"model": "m-1", "choices": [], "usage": usage}).encode()

    assert openai_chat.read_answer(body).usage == tokens


def test_the_input_of_an_incomplete_usage_is_kept() -> None:
    seen = openai_chat.read_answer(b'{"usage":{"prompt_tokens":10},"choices":[]}')

    assert (seen.usage, seen.partial_input) == (None, 10)


def test_a_providers_charge_is_read_from_its_own_digits() -> None:
    body = b'{"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.0004970133333333333}}'

    assert openai_chat.read_answer(body).cost == Decimal("0.0004970133333333333")


@pytest.mark.parametrize(
    "charge", ["-1", "true", '"x"', "null", "[]", '"NaN"', "1e30", "1000000001", "9" * 400]
)
def test_an_absurd_charge_is_none(charge: str) -> None:
    body = f'{{"usage":{{"prompt_tokens":1,"completion_tokens":1,"cost":{charge}}}}}'

    assert openai_chat.read_answer(body.encode()).cost is None


def test_an_answer_without_usage_is_measured_by_what_is_visible() -> None:
    message = {"role": "assistant", "content": "four", "tool_calls": [{"id": "x", "args": "{}"}]}
    body = json.dumps({"choices": [{"message": message}]}).encode()

    assert openai_chat.read_answer(body).visible_output() == 3


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b'"x"', b'{"usage":5}', b"\xff"])
def test_an_unreadable_answer_has_no_usage(raw: bytes) -> None:
    assert openai_chat.read_answer(raw).usage is None
    assert openai_chat.enrich(raw, COSTS) == raw


def test_costs_are_added_and_every_other_byte_stays() -> None:
    raw = b'{ "usage" : {"prompt_tokens": 1 },\n"x":"\\"usage\\":{\\"prompt_tokens\\": 1 }"}'

    assert openai_chat.enrich(raw, COSTS) == (
        b'{ "usage" : {"prompt_tokens": 1 ,"cost_usd":"0.0000015","cost_center":"RND",'
        b'"request_id":"r-1"},\n"x":"\\"usage\\":{\\"prompt_tokens\\": 1 }"}'
    )


def test_costs_join_the_usage_at_the_top_where_another_looks_alike() -> None:
    usage = b'{"prompt_tokens":1,"completion_tokens":1}'
    raw = b'{"usage":' + usage + b',"x_groq":{"usage":' + usage + b"}}"

    body = json.loads(openai_chat.enrich(raw, COSTS))

    assert body["usage"]["cost_usd"] == "0.0000015"
    assert "cost_usd" not in body["x_groq"]["usage"]


def test_an_unpriced_call_shows_null_not_zero() -> None:
    raw = b'{"usage":{"a":1}}'

    body = json.loads(openai_chat.enrich(raw, Costs(None, None, "r-1")))

    assert body["usage"]["cost_usd"] is None


@pytest.mark.parametrize(
    ("model", "effort"),
    [("o3-mini", None), ("gpt-5", None), ("openai/o1", None), ("gpt-4o", "high")],
)
def test_models_that_think_unseen_are_known(model: str, effort: str | None) -> None:
    assert openai_chat.hides_reasoning(asked(reasoning_effort=effort), model)


@pytest.mark.parametrize(("model", "effort"), [("gpt-4o-mini", None), ("gpt-5.1", "none")])
def test_models_that_think_aloud_or_not_at_all_are_known(model: str, effort: str | None) -> None:
    assert not openai_chat.hides_reasoning(asked(reasoning_effort=effort), model)


def test_what_another_bills_for_an_own_key_stands_beside_the_charge() -> None:
    usage = {**USAGE, "cost": 0, "cost_details": {"upstream_inference_cost": 0.00417}}

    own = openai_chat.read_answer(json.dumps({"usage": {**usage, "is_byok": True}}).encode())
    theirs = openai_chat.read_answer(json.dumps({"usage": {**usage, "is_byok": False}}).encode())

    assert (own.cost, own.upstream_cost) == (Decimal(0), Decimal("0.00417"))
    assert theirs.upstream_cost is None


def test_a_service_tier_is_a_text() -> None:
    with pytest.raises(InvalidRequestError):
        asked(service_tier=["flex"])
