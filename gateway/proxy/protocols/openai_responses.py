"""OpenAI's responses: `POST /v1/responses`, also spoken by xAI and OpenRouter."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.proxy.protocols import fields, openai_responses_stream, strict_json
from gateway.proxy.protocols.fields import typed, whole
from gateway.proxy.protocols.openai_chat import CLIENT_TOOLS, INSTRUCTIONS, REASONERS
from gateway.proxy.protocols.openai_responses_stream import Meter
from gateway.proxy.protocols.wire import Asked, Dialect, InvalidRequestError, Json, Sending, Size

NAME: Final = "openai_responses"
DIALECT: Final[Dialect] = "openai"
MOST_CALLS = 128  # of server-side tools

# Fields that a tokenizer sees.
TEXT = ("input", "instructions", "tools", "text")
KNOWN = frozenset(
    (
        *fields.ATTRIBUTION,
        *TEXT,
        *("model", "stream", "stream_options", "max_output_tokens", "max_tool_calls"),
        *("include", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention"),
        *("reasoning", "service_tier", "store", "temperature", "tool_choice", "top_logprobs"),
        *("top_p", "truncation", "verbosity"),
    )
)
TYPES: dict[str, type] = {
    "tools": list,
    "reasoning": dict,
    "background": bool,
    "service_tier": str,
}
# Each brings in what the provider keeps or does, so that nobody can bound it (RELIABILITY §2).
KEPT = ("previous_response_id", "conversation", "prompt", "background")
# Items and parts that are text and nothing else.
PLAIN_ITEMS = (
    *("message", "function_call", "function_call_output", "custom_tool_call"),
    *("custom_tool_call_output", "reasoning", "local_shell_call", "local_shell_call_output"),
    *("apply_patch_call", "apply_patch_call_output", "web_search_call"),
)
PLAIN_PARTS = ("input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text")
OWN_TOOLS = (*CLIENT_TOOLS, "local_shell", "apply_patch")  # the client itself runs them
OWN_TOOL_BYTES = 2048  # their built-in description is no text of the request
SEARCHES = ("web_search", "web_search_2025_08_26", "web_search_preview")

read_answer = openai_responses_stream.read_answer
enrich = openai_responses_stream.enrich


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly."""
    body = strict_json.load_object(raw)
    if not isinstance(body.get("input"), str):
        typed(body, "input", list)
    if not body.get("input") and not any(body.get(name) for name in KEPT):
        raise InvalidRequestError("`input` must be a text or a list of items.", "input")
    for name, kind in TYPES.items():
        typed(body, name, kind)
    whole(body, "max_tool_calls", MOST_CALLS)
    return Asked(
        body=body,
        model=fields.model_of(body),
        is_stream=typed(body, "stream", bool) or False,
        max_output=whole(body, "max_output_tokens"),
        attribution=fields.attribution(body),
    )


def size(asked: Asked) -> Size:
    """Measure the request for its upper bound."""
    body = asked.body
    text = fields.encode([body[name] for name in TEXT if name in body])
    tools = body.get("tools") or []
    calls = body.get("max_tool_calls") or 0 if any(_is_search(tool) for tool in tools) else 0
    own = sum(_type(tool) not in CLIENT_TOOLS for tool in tools)
    given = body["input"] if isinstance(body.get("input"), list) else []
    return Size(
        text_bytes=fields.text_length(text) + OWN_TOOL_BYTES * own,
        messages=1 + len(given),
        tools=len(tools),
        media=_media(given),
        rounds=1 + calls,
        web_searches=calls,
        unbounded=_unbounded(body, tools),
        input_classes=("input", "cache_read", "cache_write"),
        output_classes=("output", "reasoning"),
    )


def _type(item: Any) -> Any:
    """Return the type that an item states; a message need not."""
    return item.get("type", "message") if isinstance(item, dict) else None


def _is_search(tool: Any) -> bool:
    """Tell whether this is the server's own web search."""
    return _type(tool) in SEARCHES


def _unbounded(body: Json, tools: list[Any]) -> str | None:
    """Name the first field that lets the bill grow without a limit, or that nobody knows."""
    if name := next((name for name in KEPT if body.get(name)), None):
        return name
    for number, tool in enumerate(tools):
        is_limited = _is_search(tool) and body.get("max_tool_calls")
        if not is_limited and _type(tool) not in OWN_TOOLS:
            return f"tools[{number}].type"
    return fields.unknown(body, KNOWN.union(KEPT))


def _media(items: list[Any]) -> str | None:
    """Name the first item or part that is no text of this request."""
    for number, item in enumerate(items):
        if _type(item) not in PLAIN_ITEMS:
            return f"input[{number}]"
        for name in ("content", "output", "summary"):
            parts = item.get(name)
            if isinstance(parts, list) and any(_type(part) not in PLAIN_PARTS for part in parts):
                return f"input[{number}].{name}"
    return None


def system_text(asked: Asked) -> str:
    """Return the instructions, and the text of all system and developer messages."""
    body = asked.body
    items = body["input"] if isinstance(body.get("input"), list) else []
    told = [i for i in items if isinstance(i, dict) and i.get("role") in INSTRUCTIONS]
    texts = [
        fields.plain(body.get("instructions")),
        *(fields.plain(i.get("content")) for i in told),
    ]
    return "\n".join(text for text in texts if text)


def hides_reasoning(asked: Asked, model: str) -> bool:
    """Tell whether more is billed than is seen: thoughts, or rounds of server-side tools."""
    if any(_type(tool) not in OWN_TOOLS for tool in asked.body.get("tools") or ()):
        return True
    effort = (asked.body.get("reasoning") or {}).get("effort")
    return effort != "none" if effort is not None else bool(REASONERS.search(model.lower()))


def upstream_path(asked: Asked, sending: Sending) -> str:
    """Return the path under the upstream's base."""
    return "/responses"


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent: the parsed body, without our fields, with our limit."""
    body = fields.without(asked.body, sending.strip, fields.OURS)
    body["model"] = sending.model
    if sending.max_output is not None:
        stated = body.get("max_output_tokens") or sending.max_output
        body["max_output_tokens"] = min(sending.max_output, stated)
    return fields.encode(body)


def meter(asked: Asked) -> Meter:
    """Start metering one stream."""
    return Meter()
