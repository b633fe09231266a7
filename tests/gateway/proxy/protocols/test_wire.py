"""What holds for every wire format: nothing an upstream says crashes it, no byte is lost."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.proxy.protocols import (
    anthropic_count_tokens,
    anthropic_messages,
    gemini_count_tokens,
    gemini_embeddings,
    gemini_generate,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from gateway.proxy.protocols.gemini_array import Splitter
from gateway.proxy.protocols.sse import EVENT
from gateway.proxy.protocols.wire import (
    Asked,
    Costs,
    Format,
    InvalidRequestError,
    Sending,
    StreamError,
)

FORMATS: tuple[Format, ...] = (
    openai_chat,
    openai_completions,
    openai_responses,
    openai_embeddings,
    anthropic_messages,
    anthropic_count_tokens,
    gemini_generate,
    gemini_embeddings,
    gemini_count_tokens,
)
COSTS = Costs(cost_usd="0.1", cost_center="RND", request_id="r-1")
PATH = {"model": "m", "method": "streamGenerateContent"}
# Names that the formats look for, so that junk stands where they look.
NAMES = st.sampled_from(
    (
        *("usage", "usageMetadata", "model", "choices", "delta", "content", "error", "type"),
        *("message", "output", "response", "candidates", "parts", "text", "input", "messages"),
        *("contents", "generationConfig", "tools", "service_tier", "iterations", "requests"),
        *("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "max_tokens"),
        *("promptTokenCount", "candidatesTokenCount", "promptTokensDetails", "finishReason"),
        *("message_start", "message_delta", "response.completed", "web_search_call", "action"),
    )
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
TOLD = ("source", "content", "max_uses", "text", "functionResponse", "functionDeclarations")
KINDS = ("document", "text", "tool_result", "image", "function", "web_search_20250305", "message")
PART = JUNK | st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | JUNK},
    optional=dict.fromkeys(TOLD, JUNK),
)
REQUEST = (
    *("tools", "thinking", "reasoning", "generationConfig", "systemInstruction", "system"),
    *("stream_options", "metadata", "modalities", "audio", "prediction", "context_management"),
    *("service_tier", "text", "instructions", "best_of", "title", "stream", "user", "functions"),
    *("max_tokens", "max_output_tokens", "max_tool_calls", "reasoning_effort", "cachedContent"),
)
few = settings(max_examples=40)
every_format = pytest.mark.parametrize("wire", FORMATS, ids=[wire.NAME for wire in FORMATS])


def pieces(body: bytes, step: int) -> list[bytes]:
    """Cut a body into pieces of one size."""
    return [body[i : i + step] for i in range(0, len(body), step)]


def test_names_are_unique() -> None:
    assert len({wire.NAME for wire in FORMATS}) == len(FORMATS)


@every_format
@few
@given(JUNK)
def test_no_answer_crashes(wire: Format, junk: Any) -> None:
    raw = json.dumps(junk).encode()

    seen = wire.read_answer(raw)

    assert seen.usage is None or all(n >= 0 for n in seen.usage.as_dict().values())
    assert len(wire.enrich(raw, COSTS)) >= len(raw)


@every_format
@few
@given(st.lists(JUNK, max_size=4), st.integers(1, 40), st.booleans())
def test_no_stream_crashes_or_loses_a_byte(
    wire: Format,
    junk: list[Any],
    step: int,
    is_array: bool,  # noqa: FBT001  hypothesis
) -> None:
    events = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in junk)
    raw = json.dumps(junk).encode() if is_array else events
    meter = wire.meter(Asked({}, "m", is_stream=True, is_array=is_array))

    out = b"".join([meter.feed(chunk) for chunk in pieces(raw, step)])
    meter.end()

    assert out + meter.tail(None) == raw


@every_format
@few
@given(st.dictionaries(st.sampled_from(REQUEST), JUNK, max_size=2), PART, PART)
def test_no_request_crashes(wire: Format, fields: dict[str, Any], part: Any, tool: Any) -> None:
    body = {
        "model": "m",
        "messages": [{"role": "system", "content": [part]}, {"role": "user", "content": part}],
        "contents": [{"parts": [part]}],
        "content": {"parts": [part]},
        "input": [{"type": "message", "content": [part]}, part] if "r" in wire.NAME else "hi",
        "prompt": "hi",
        **({"tools": [tool]} if isinstance(tool, dict) else {}),
        **fields,
    }
    try:
        asked = wire.parse_request(json.dumps(body).encode(), PATH)
        wire.size(asked)
    except InvalidRequestError:
        return
    assert isinstance(wire.system_text(asked), str)
    assert isinstance(wire.hides_reasoning(asked, "m"), bool)
    assert json.loads(wire.outgoing(asked, Sending("other", max_output=9)))


@given(st.lists(st.dictionaries(st.text(), JUNK, max_size=4), max_size=5), st.integers(1, 9))
def test_an_array_is_split_into_its_objects_at_any_border(found: list[Any], step: int) -> None:
    raw = json.dumps(found, indent=1).encode()
    splitter = Splitter()

    events = [event for chunk in pieces(raw, step) for event in splitter.feed(chunk)]

    assert b"".join(part for part, _ in events) == raw
    assert [json.loads(data) for _, data in events if data is not None] == found
    assert splitter.is_closed


def test_an_endless_element_is_refused() -> None:
    splitter = Splitter()
    splitter.feed(b'[{"text":"' + b"a" * (EVENT - 10))

    with pytest.raises(StreamError):
        splitter.feed(b"a")
