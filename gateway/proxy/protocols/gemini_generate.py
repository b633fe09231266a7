"""Gemini's generateContent and streamGenerateContent; the URL names the model and the method."""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.proxy.protocols import fields, gemini_body, gemini_stream, strict_json
from gateway.proxy.protocols.fields import typed, whole
from gateway.proxy.protocols.gemini_stream import Meter
from gateway.proxy.protocols.wire import Asked, Dialect, Json, Sending, Size

NAME: Final = "gemini_generate"
DIALECT: Final[Dialect] = "gemini"
LARGEST_N = 8

# Fields that a tokenizer sees.
TEXT = ("contents", "systemInstruction", "tools", "generationConfig")
KNOWN = frozenset(
    (
        *fields.ATTRIBUTION,
        *TEXT,
        *("model", "toolConfig", "safetySettings", "cachedContent", "serviceTier"),
    )
)
KNOWN_CONFIG = frozenset(
    (
        *("candidateCount", "maxOutputTokens", "stopSequences", "temperature", "topK", "topP"),
        *("frequencyPenalty", "presencePenalty", "seed", "responseLogprobs", "logprobs"),
        *("responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities"),
        *("speechConfig", "thinkingConfig", "mediaResolution"),
    )
)
OWN_TOOLS = frozenset(("functionDeclarations",))  # all others run at the provider, without a limit
# These do not think; all later ones do, unless told not to.
THOUGHTLESS = re.compile(r"gemini-(1|2\.0)|gemma|learnlm")

read_answer = gemini_stream.read_answer
enrich = gemini_stream.enrich


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly; `path` holds model and method, and `alt` of the query."""
    body = gemini_body.camel(strict_json.load_object(raw))
    fields.objects(body, "contents")
    config = gemini_body.camel(typed(body, "generationConfig", dict) or {})
    if config.get("thinkingConfig") is not None:
        config["thinkingConfig"] = gemini_body.camel(typed(config, "thinkingConfig", dict))
    if config:
        body["generationConfig"] = config
    if tools := typed(body, "tools", list):
        body["tools"] = [
            gemini_body.camel(tool) for tool in fields.objects({"tools": tools}, "tools")
        ]
    typed(body, "serviceTier", str)
    is_stream = path.get("method") == "streamGenerateContent"
    return Asked(
        body=body,
        model=gemini_body.model_of(path),
        is_stream=is_stream,
        max_output=whole(config, "maxOutputTokens"),
        choices=whole(config, "candidateCount", LARGEST_N) or 1,
        attribution=fields.attribution(body),
        is_array=is_stream and path.get("alt") != "sse",
    )


def _config(asked: Asked) -> Json:
    """Return the settings of the generation; empty where there are none."""
    config: Json = asked.body.get("generationConfig") or {}
    return config


def size(asked: Asked) -> Size:
    """Measure the request for its upper bound."""
    body = asked.body
    text = fields.encode([body[name] for name in TEXT if name in body])
    media = _media(body)
    classes = ["input", "cache_read"]
    if media:
        classes += ("audio_input", "audio_cache_read")
    modes = _config(asked).get("responseModalities")
    speaks = isinstance(modes, list) and "AUDIO" in [_capital(mode) for mode in modes]
    return Size(
        text_bytes=fields.text_length(text),
        messages=1 + len(body["contents"]),
        tools=sum(_declared(tool) for tool in body.get("tools") or ()),
        media=media,
        unbounded=_unbounded(body, _config(asked)),
        input_classes=tuple(classes),
        output_classes=("output", "reasoning", *(("audio_output",) if speaks else ())),
    )


def _declared(tool: Json) -> int:
    """Count the functions that a tool declares."""
    functions = tool.get("functionDeclarations")
    return len(functions) if isinstance(functions, list) else 0


def _capital(mode: Any) -> str:
    """Return the name of a modality in one spelling."""
    return mode.upper() if isinstance(mode, str) else ""


def _media(body: Json) -> str | None:
    """Name the first thing that brings in more than its own text."""
    if body.get("cachedContent"):
        return "cachedContent"
    for number, content in enumerate(body["contents"]):
        if found := gemini_body.media(content, f"contents[{number}]"):
            return found
    return gemini_body.media(body.get("systemInstruction"), "systemInstruction")


def _unbounded(body: Json, config: Json) -> str | None:
    """Name the first field that lets the bill grow without a limit, or that nobody knows."""
    for number, tool in enumerate(body.get("tools") or ()):
        if name := fields.unknown(tool, OWN_TOOLS):
            return f"tools[{number}].{name}"
    if name := fields.unknown(config, KNOWN_CONFIG):
        return f"generationConfig.{name}"
    modes = config.get("responseModalities") or []
    if not isinstance(modes, list) or {_capital(m) for m in modes} - {"TEXT", "AUDIO"}:
        return "generationConfig.responseModalities"  # pictures have prices of their own
    return fields.unknown(body, KNOWN)


def system_text(asked: Asked) -> str:
    """Return the system instruction."""
    return gemini_body.text_of(asked.body.get("systemInstruction"))


def hides_reasoning(asked: Asked, model: str) -> bool:
    """Tell whether more is billed than is seen: summarized thoughts, tools of the provider."""
    if any(fields.unknown(tool, OWN_TOOLS) for tool in asked.body.get("tools") or ()):
        return True
    thinking = _config(asked).get("thinkingConfig") or {}
    return thinking.get("thinkingBudget") != 0 and not THOUGHTLESS.search(model.lower())


def upstream_path(asked: Asked, sending: Sending) -> str:
    """Return the path under the upstream's base."""
    if not asked.is_stream:
        return gemini_body.method(sending, "generateContent")
    method = gemini_body.method(sending, "streamGenerateContent")
    return method if asked.is_array else f"{method}?alt=sse"


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent: the parsed body, without our fields, with our limit."""
    body = forwarded(asked, sending)
    if sending.max_output is not None:
        config = {**_config(asked)}
        stated = config.get("maxOutputTokens") or sending.max_output
        config["maxOutputTokens"] = min(sending.max_output, stated)
        body["generationConfig"] = config
    return fields.encode(body)


def forwarded(asked: Asked, sending: Sending) -> Json:
    """Return the body for the provider, which refuses fields that it does not know."""
    return fields.without(asked.body, sending.strip, fields.ATTRIBUTION, ("model",))


def meter(asked: Asked) -> Meter:
    """Start metering one stream."""
    return Meter(is_array=asked.is_array)
