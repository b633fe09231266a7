"""OpenAI's chat completions: `POST /v1/chat/completions` and its many imitations."""

import re
from collections.abc import Mapping
from typing import Final

from gateway.proxy.protocols import fields, openai_answer, strict_json
from gateway.proxy.protocols.fields import typed, whole
from gateway.proxy.protocols.openai_stream import Meter
from gateway.proxy.protocols.wire import Asked, Dialect, Json, Sending, Size

NAME: Final = "openai_chat"
DIALECT: Final[Dialect] = "openai"
LARGEST_N = 128

# Fields that a tokenizer sees.
TEXT = ("messages", "tools", "functions", "response_format", "chat_template_kwargs")
# Fields whose effect on the bill is known: bounded elsewhere, or none.
KNOWN = frozenset(
    (
        *fields.ATTRIBUTION,
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
# tuples: what a client wrote may not be hashable
PLAIN_PARTS = ("text", "refusal", "thinking")
CLIENT_TOOLS = ("function", "custom")
INSTRUCTIONS = ("system", "developer")
REASONERS = re.compile(r"(^|/)(o\d|gpt-5|gpt-6|codex|gemini-[23]|grok-[34])|reason|think|-r1")


read_answer = openai_answer.read_answer
enrich = openai_answer.enrich


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly; `path` has no variables here."""
    body = strict_json.load_object(raw)
    fields.objects(body, "messages")
    for name in ("tools", "functions", "modalities"):
        typed(body, name, list)
    return asked_from(body)


def asked_from(body: Json) -> Asked:
    """Read what chat and legacy completions have in common, every type checked."""
    typed(body, "service_tier", str)
    is_stream = typed(body, "stream", bool) or False
    options = typed(body, "stream_options", dict) or {}
    limits = [whole(body, name) for name in ("max_tokens", "max_completion_tokens")]
    stated = [limit for limit in limits if limit is not None]
    return Asked(
        body=body,
        model=fields.model_of(body),
        is_stream=is_stream,
        max_output=max(stated) if stated else None,
        choices=whole(body, "n", LARGEST_N) or 1,
        wants_usage=not is_stream or typed(options, "include_usage", bool) or False,
        attribution=fields.attribution(body),
    )


def size(asked: Asked) -> Size:
    """Measure the request for its upper bound."""
    body = asked.body
    text = fields.encode([body[name] for name in TEXT if name in body])
    media = _media(body["messages"])
    classes = ["input", "cache_read", "cache_write"]
    if b'"cache_control"' in text:
        classes.append("cache_write_1h")
    if media:
        classes += ("audio_input", "audio_cache_read")
    spoken = "audio" in (body.get("modalities") or ()) or body.get("audio")
    return Size(
        text_bytes=fields.text_length(text),
        messages=len(body["messages"]),
        tools=len(body.get("tools") or ()) + len(body.get("functions") or ()),
        extra_output=len(fields.encode(body["prediction"])) if body.get("prediction") else 0,
        media=media,
        unbounded=_unbounded(body),
        input_classes=tuple(classes),
        output_classes=("output", "reasoning", *(("audio_output",) if spoken else ())),
    )


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
    if name := fields.unknown(body, KNOWN):
        return name
    for number, tool in enumerate(body.get("tools") or ()):
        if not isinstance(tool, dict) or tool.get("type") not in CLIENT_TOOLS:
            return f"tools[{number}].type"
    return None


def system_text(asked: Asked) -> str:
    """Return the text of all system and developer messages."""
    messages = [m for m in asked.body["messages"] if m.get("role") in INSTRUCTIONS]
    return "\n".join(fields.plain(message.get("content")) for message in messages)


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
    body = fields.without(asked.body, sending.strip, fields.OURS)
    if not body.get("store"):  # a provider that stores nothing refuses metadata
        body.pop("metadata", None)
    body["model"] = sending.model
    if asked.is_stream and sending.injects_usage:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    if sending.max_output is not None:
        stated = [n for n in ("max_tokens", "max_completion_tokens") if body.get(n) is not None]
        for name in stated or [sending.max_field]:
            body[name] = min(sending.max_output, body.get(name) or sending.max_output)
    return fields.encode(body)


def meter(asked: Asked) -> Meter:
    """Start metering one stream."""
    return Meter(hides_usage=not asked.wants_usage)
