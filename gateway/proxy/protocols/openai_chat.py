"""OpenAI's chat completions: `POST /v1/chat/completions` and its many imitations."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.proxy.protocols import openai_usage, strict_json
from gateway.proxy.protocols.openai_stream import Meter, splice, visible_bytes
from gateway.proxy.protocols.wire import (
    Asked,
    Costs,
    Dialect,
    InvalidRequestError,
    Json,
    Seen,
    Sending,
    Size,
)

DIALECT: Final[Dialect] = "openai"
LARGEST_LIMIT = 10**9
LARGEST_N = 128

# Fields that say who pays. The first three are ours alone and never reach a provider.
OURS = ("cost_center", "user_id", "request_path")
ATTRIBUTION = (*OURS, "user", "safety_identifier", "metadata")

# Fields that a tokenizer sees.
TEXT = ("messages", "tools", "functions", "response_format", "chat_template_kwargs")
# Fields whose effect on the bill is known: bounded elsewhere, or none.
KNOWN = frozenset(
    (
        *ATTRIBUTION,
        *TEXT,
        *("model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"),
        *("audio", "frequency_penalty", "function_call", "logit_bias", "logprobs", "modalities"),
        *("parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key"),
        *("prompt_cache_retention", "reasoning_effort", "seed", "service_tier", "stop", "store"),
        *("temperature", "tool_choice", "top_logprobs", "top_p", "verbosity"),
        # of compatible servers
        *("cache_prompt", "enable_thinking", "ignore_eos", "include_reasoning", "min_p"),
        *("random_seed", "reasoning", "reasoning_format", "repetition_penalty", "safe_prompt"),
        *("stop_token_ids", "thinking", "top_k", "typical_p"),
        *("guided_choice", "guided_json", "guided_regex", "min_tokens", "usage"),
    )
)
TYPES: dict[str, type] = {
    **dict.fromkeys((*OURS, "user", "safety_identifier"), str),
    **dict.fromkeys(("tools", "functions", "modalities"), list),
    "metadata": dict,
}
# tuples: what a client wrote may not be hashable
PLAIN_PARTS = ("text", "refusal", "thinking")
CLIENT_TOOLS = ("function", "custom")
INSTRUCTIONS = ("system", "developer")
REASONERS = re.compile(r"(^|/)(o\d|gpt-5|gpt-6|codex|gemini-[23]|grok-[34])|reason|think|-r1")


class Answer(msgspec.Struct):
    """The part of an answer that is metered."""

    model: Any = None
    service_tier: Any = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    choices: msgspec.Raw = msgspec.Raw(b"null")
    error: Any = None


_answer = msgspec.json.Decoder(Answer).decode
_encode = msgspec.json.Encoder().encode


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly; `path` has no variables here."""
    body = strict_json.load_object(raw)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError(
            "`messages` must be a list with at least one message.", "messages"
        )
    if not all(isinstance(message, dict) for message in messages):
        raise InvalidRequestError("Each of `messages` must be an object.", "messages")
    return asked_from(body)


def asked_from(body: Json) -> Asked:
    """Read what chat and legacy completions have in common, every type checked."""
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= 255:
        raise InvalidRequestError("`model` must name a model.", "model")
    is_stream = typed(body, "stream", bool) or False
    options = typed(body, "stream_options", dict) or {}
    limits = [whole(body, name, LARGEST_LIMIT) for name in ("max_tokens", "max_completion_tokens")]
    stated = [limit for limit in limits if limit is not None]
    for name, kind in TYPES.items():
        typed(body, name, kind)
    return Asked(
        body=body,
        model=model,
        is_stream=is_stream,
        max_output=max(stated) if stated else None,
        choices=whole(body, "n", LARGEST_N) or 1,
        wants_usage=not is_stream or typed(options, "include_usage", bool) or False,
        attribution={name: body[name] for name in ATTRIBUTION if name in body},
    )


def typed(body: Json, name: str, kind: type) -> Any:
    """Return a field of the right type, or None where it is absent or null."""
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidRequestError(f"`{name}` has the wrong type.", name)
    return value


def whole(body: Json, name: str, most: int) -> int | None:
    """Return a whole number from 1 to `most`, or None where it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidRequestError(f"`{name}` must be a whole number from 1 to {most}.", name)
    return value


def size(asked: Asked) -> Size:
    """Measure the request for its upper bound."""
    body = asked.body
    text = _encode([body[name] for name in TEXT if name in body])
    media = _media(body["messages"])
    classes = ["input", "cache_read", "cache_write"]
    if b'"cache_control"' in text:
        classes.append("cache_write_1h")
    if media:
        classes += ("audio_input", "audio_cache_read")
    spoken = "audio" in (body.get("modalities") or ()) or body.get("audio")
    return Size(
        text_bytes=normalized_length(text),
        messages=len(body["messages"]),
        tools=len(body.get("tools") or ()) + len(body.get("functions") or ()),
        extra_output=len(_encode(body["prediction"])) if body.get("prediction") else 0,
        media=media,
        unbounded=_unbounded(body),
        input_classes=tuple(classes),
        output_classes=("output", "reasoning", *(("audio_output",) if spoken else ())),
    )


def normalized_length(text: bytes) -> int:
    """Return the bytes of `text`, or of its compatibility form where that is longer."""
    if text.isascii():
        return len(text)
    return max(len(text), len(unicodedata.normalize("NFKC", text.decode()).encode()))


def _media(messages: list[Json]) -> str | None:
    """Name the first part that is no text."""
    for number, message in enumerate(messages):
        content = message.get("content")
        if message.get("audio"):
            return f"messages[{number}].audio"
        if content is None or type(content) is str:
            continue
        parts = content if isinstance(content, list) else [content]
        for place, item in enumerate(parts):
            kind = item.get("type") if isinstance(item, dict) else None
            if kind not in PLAIN_PARTS:
                return f"messages[{number}].content[{place}]"
    return None


def _unbounded(body: Json) -> str | None:
    """Name the first field that lets the bill grow without a limit, or that nobody knows."""
    for name in body:
        if name not in KNOWN:
            return name
    for number, tool in enumerate(body.get("tools") or ()):
        if not isinstance(tool, dict) or tool.get("type") not in CLIENT_TOOLS:
            return f"tools[{number}].type"
    return None


def system_text(asked: Asked) -> str:
    """Return the text of all system and developer messages."""
    found = []
    for message in asked.body["messages"]:
        if message.get("role") in INSTRUCTIONS:
            content = message.get("content")
            found.append(content if isinstance(content, str) else _encode(content).decode())
    return "\n".join(found)


def hides_reasoning(asked: Asked, model: str) -> bool:
    """Tell whether this model thinks where nobody sees it, so that its stream undercounts."""
    effort = asked.body.get("reasoning_effort")
    if effort is not None:
        return bool(effort != "none")
    return bool(REASONERS.search(model.lower()))


def upstream_path(asked: Asked, sending: Sending) -> str:
    """Return the path under the upstream's base."""
    return "/chat/completions"


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent: the parsed body, without our fields, with our limits."""
    body = {name: value for name, value in asked.body.items() if name not in sending.strip}
    for name in OURS:
        body.pop(name, None)
    if not body.get("store"):  # a provider that stores nothing refuses metadata
        body.pop("metadata", None)
    body["model"] = sending.model
    if asked.is_stream and sending.injects_usage:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    if sending.max_output is not None:
        stated = [n for n in ("max_tokens", "max_completion_tokens") if body.get(n) is not None]
        for name in stated or [sending.max_field]:
            body[name] = min(sending.max_output, body.get(name) or sending.max_output)
    return _encode(body)


def read_answer(raw: bytes) -> Seen:
    """Read a complete answer."""
    seen = Seen()
    try:
        answer = _answer(raw)
        openai_usage.read(answer.usage, seen)
        if seen.usage is None:
            _count_visible(answer.choices, seen)
    except (msgspec.DecodeError, UnicodeDecodeError):
        seen.text_bytes = len(raw)
        return seen
    seen.model = answer.model if isinstance(answer.model, str) and answer.model else None
    if isinstance(answer.service_tier, str):
        seen.service_tier = answer.service_tier
    seen.is_error = answer.error is not None
    return seen


def _count_visible(raw: msgspec.Raw, seen: Seen) -> None:
    """Measure the visible output of an answer that states no usage."""
    choices = msgspec.json.decode(raw)
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            seen.text_bytes += visible_bytes(choice.get("message") or choice.get("text"))


def enrich(raw: bytes, costs: Costs) -> bytes:
    """Add the cost members to the answer's usage; every other byte stays."""
    try:
        usage = bytes(_answer(raw).usage)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw
    return splice(raw, usage, costs) if usage.startswith(b"{") else raw


def meter(asked: Asked) -> Meter:
    """Start metering one stream."""
    return Meter(hides_usage=not asked.wants_usage)
