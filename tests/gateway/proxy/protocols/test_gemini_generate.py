"""Gemini: two spellings of one field, three shapes of an answer, one usage."""

import json
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import gemini_generate
from gateway.proxy.protocols.wire import Asked, Costs, Format, InvalidRequestError, Sending

FORMAT: Format = gemini_generate
COSTS = Costs(cost_usd="0.1", cost_center="RND", request_id="r-1")
UNARY = {"model": "gemini-2.5-flash", "method": "generateContent"}
EVENTS = {"model": "gemini-2.5-flash", "method": "streamGenerateContent", "alt": "sse"}
ARRAY = {"model": "gemini-2.5-flash", "method": "streamGenerateContent"}
HELLO = [{"role": "user", "parts": [{"text": "hi"}]}]
USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 14}


def asked(path: dict[str, str] = UNARY, **fields: Any) -> Asked:
    """Return a parsed request."""
    return FORMAT.parse_request(json.dumps({"contents": HELLO, **fields}).encode(), path)


def piece(text: str = "", *, reason: str | None = None, **members: Any) -> dict[str, Any]:
    """Return one piece of a stream."""
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}] if text else []}}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", **members}


def event(body: dict[str, Any]) -> bytes:
    """Return a piece as an event."""
    return b"data: " + json.dumps(body).encode() + b"\r\n\r\n"


def read(**usage: Any) -> Any:
    """Read an answer with this usage."""
    return FORMAT.read_answer(json.dumps(piece("hi", usageMetadata=usage)).encode())


def test_the_url_names_the_model_and_the_shape_of_the_answer() -> None:
    assert (asked().model, asked().is_stream) == ("gemini-2.5-flash", False)
    assert (asked(EVENTS).is_stream, asked(EVENTS).is_array) == (True, False)
    assert (asked(ARRAY).is_stream, asked(ARRAY).is_array) == (True, True)


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        (UNARY, "/models/g%2F1:generateContent"),
        (EVENTS, "/models/g%2F1:streamGenerateContent?alt=sse"),
        (ARRAY, "/models/g%2F1:streamGenerateContent"),
    ],
)
def test_the_upstream_path_is_made_of_the_routes_own_model(
    path: dict[str, str], upstream: str
) -> None:
    assert FORMAT.upstream_path(asked(path), Sending("models/g/1")) == upstream


def test_both_spellings_are_one_field() -> None:
    request = asked(generation_config={"max_output_tokens": 7, "candidate_count": 2})

    assert (request.max_output, request.choices) == (7, 2)
    sent = json.loads(FORMAT.outgoing(request, Sending("m", max_output=5)))
    assert sent["generationConfig"] == {"maxOutputTokens": 5, "candidateCount": 2}


@pytest.mark.parametrize(
    "fields",
    [
        {"generationConfig": {}, "generation_config": {}},
        {"generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 10**5}},
        {"tools": [{"googleSearch": {}, "google_search": {}}]},
    ],
)
def test_a_limit_in_both_spellings_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        asked(**fields)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": "hi"}, "contents"),
        ({"generationConfig": [1]}, "generationConfig"),
        ({"generationConfig": {"maxOutputTokens": "7"}}, "maxOutputTokens"),
        ({"generationConfig": {"thinkingConfig": 7}}, "thinkingConfig"),
        ({"tools": {}}, "tools"),
        ({"tools": [7]}, "tools"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        asked(**fields)

    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"tools": [{"google_search": {}}]}, "tools[0].googleSearch"),
        (
            {"tools": [{"functionDeclarations": []}, {"codeExecution": {}}]},
            "tools[1].codeExecution",
        ),
        (
            {"generationConfig": {"responseModalities": ["Image"]}},
            "generationConfig.responseModalities",
        ),
        ({"generationConfig": {"newThing": 1}}, "generationConfig.newThing"),
        ({"newThing": 1}, "newThing"),
    ],
)
def test_what_has_no_bound_is_named(fields: dict[str, Any], name: str) -> None:
    assert FORMAT.size(asked(**fields)).unbounded == name


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"contents": [{"parts": [{"inline_data": {}}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"functionResponse": {"parts": []}}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"function_call": {"name": "f"}}]}]}, None),
        ({"systemInstruction": {"parts": [{"fileData": {}}]}}, "systemInstruction.parts[0]"),
    ],
)
def test_what_is_no_text_counts_as_the_whole_window(
    fields: dict[str, Any], place: str | None
) -> None:
    assert FORMAT.size(asked(**fields)).media == place


def test_speech_has_its_own_rate() -> None:
    spoken = FORMAT.size(asked(generationConfig={"responseModalities": ["AUDIO"]}))

    assert ("audio_output" in spoken.output_classes, spoken.unbounded) == (True, None)


def test_our_fields_stay_here() -> None:
    request = asked(cost_center="RND", metadata={"feature": "chat"}, model="other")

    assert json.loads(FORMAT.outgoing(request, Sending("m"))) == {"contents": HELLO}
    assert request.attribution == {"cost_center": "RND", "metadata": {"feature": "chat"}}


def test_the_template_is_the_system_instruction() -> None:
    system = {"parts": [{"text": "A"}, {"text": "B"}]}

    assert FORMAT.system_text(asked(system_instruction=system)) == "A\nB"
    assert FORMAT.system_text(asked()) == ""


def test_models_that_think_unseen_are_known() -> None:
    still = asked(generationConfig={"thinkingConfig": {"thinking_budget": 0}})

    assert FORMAT.hides_reasoning(asked(), "gemini-2.5-flash")
    assert FORMAT.hides_reasoning(asked(tools=[{"googleSearch": {}}]), "gemini-2.0-flash")
    assert not FORMAT.hides_reasoning(still, "gemini-2.5-flash")
    assert not FORMAT.hides_reasoning(asked(), "gemini-2.0-flash-001")


def test_usage_becomes_disjoint_classes() -> None:
    seen = read(
        promptTokenCount=100,
        cachedContentTokenCount=40,
        toolUsePromptTokenCount=7,
        candidatesTokenCount=20,
        thoughtsTokenCount=9,
        promptTokensDetails=[{"modality": "AUDIO", "tokenCount": 30}],
        cacheTokensDetails=[{"modality": "AUDIO", "tokenCount": 10}],
        candidatesTokensDetails=[{"modality": "AUDIO", "tokenCount": 5}],
        serviceTier="PRIORITY",
    )

    assert seen.usage == Tokens(
        input=47,
        cache_read=30,
        audio_input=20,
        audio_cache_read=10,
        output=15,
        reasoning=9,
        audio_output=5,
    )
    assert (seen.usage.total, seen.service_tier) == (136, "priority")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"promptTokenCount": 8}, None),
        ({"promptTokenCount": 8, "totalTokenCount": 11}, Tokens(8, output=3)),
        ({"promptTokenCount": 8, "candidatesTokenCount": -1}, None),
        ({"promptTokenCount": "8"}, None),
        ({"candidatesTokenCount": 8}, None),
    ],
)
def test_what_is_missing_is_what_the_total_holds_or_nothing(
    usage: dict[str, Any], tokens: Tokens | None
) -> None:
    assert read(**usage).usage == tokens


def test_an_answer_that_says_nothing_has_no_output_to_state() -> None:
    raw = b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":8}}'

    assert FORMAT.read_answer(raw).usage == Tokens(8)


def test_a_picture_has_a_price_that_we_do_not_know() -> None:
    details = [{"modality": "IMAGE", "tokenCount": 3}]

    assert read(**USAGE, candidatesTokensDetails=details).is_unpriceable


def test_an_answer_without_usage_is_counted() -> None:
    call = {"parts": [{"text": "héh"}, {"functionCall": {"name": "f"}}, 7]}
    body = {"candidates": [{"content": call}], "modelVersion": "models/m-1"}

    seen = FORMAT.read_answer(json.dumps(body).encode())

    assert (seen.text_bytes, seen.model) == (4 + len('{"name":"f"}'), "m-1")
    assert FORMAT.read_answer(b'{"error":{"code":500}}').is_error


def test_events_are_metered_and_the_last_is_held() -> None:
    meter = FORMAT.meter(asked(EVENTS))
    first = event(piece("Hel", usageMetadata={"promptTokenCount": 10, "totalTokenCount": 10}))
    last = event(piece("lo", reason="STOP", usageMetadata=USAGE))

    out = meter.feed(first + last)

    assert (out, meter.is_complete) == (first, False)  # only the end of the body ends events
    assert meter.seen.usage == Tokens(10, output=4)
    meter.end()
    assert meter.is_complete
    shown = json.loads(meter.tail(COSTS)[6:])["usageMetadata"]
    assert shown == {**USAGE, **COSTS.members()}


def test_usage_after_the_last_words_is_still_read() -> None:
    meter = FORMAT.meter(asked(EVENTS))
    last, later = event(piece("a", reason="STOP")), event({"usageMetadata": USAGE})

    assert meter.feed(last) == b""
    assert meter.feed(later) == last
    assert meter.seen.usage == Tokens(10, output=4)
    assert meter.tail(None) == later


def test_a_cut_stream_knows_its_input_only() -> None:
    meter = FORMAT.meter(asked(EVENTS))
    meter.feed(event(piece("Hello", usageMetadata={**USAGE, "cachedContentTokenCount": 3})))
    meter.end()

    assert (meter.seen.usage, meter.is_complete) == (None, False)
    assert meter.seen.partial == Tokens(7, 3)


def test_a_blocked_prompt_ends_a_stream() -> None:
    meter = FORMAT.meter(asked(EVENTS))
    meter.feed(
        event(
            {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}
        )
    )
    meter.end()

    assert (meter.seen.usage, meter.is_complete) == (Tokens(9), True)


def test_an_error_inside_a_stream_is_an_error() -> None:
    for path in (EVENTS, ARRAY):
        meter = FORMAT.meter(asked(path))
        body = {"error": {"code": 503, "message": "overloaded"}}
        raw = event(body) if path is EVENTS else json.dumps([body]).encode()

        assert meter.feed(raw) + meter.tail(None) == raw
        assert meter.seen.is_error


def test_an_array_is_metered_and_its_last_element_and_bracket_are_held() -> None:
    meter = FORMAT.meter(asked(ARRAY))
    first, last = (
        json.dumps(piece(']}[{\\"')),
        json.dumps(piece("b", reason="STOP", usageMetadata=USAGE)),
    )
    raw = f"[{first}\n,\r\n{last}\n]".encode()

    out = b"".join(meter.feed(raw[i : i + 1]) for i in range(len(raw)))

    assert out == f"[{first}".encode()
    assert (meter.is_complete, meter.seen.usage) == (True, Tokens(10, output=4))
    enriched = json.loads(out + meter.tail(COSTS))
    assert enriched[1]["usageMetadata"] == {**USAGE, **COSTS.members()}
