"""Anthropic's messages: `POST /v1/messages`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.proxy.protocols import anthropic_stream, fields, strict_json
from gateway.proxy.protocols.anthropic_stream import Meter
from gateway.proxy.protocols.fields import typed, whole
from gateway.proxy.protocols.wire import Asked, Dialect, Json, Sending, Size

NAME: Final = "anthropic_messages"
DIALECT: Final[Dialect] = "anthropic"
MOST_USES = 128  # of one server-side tool

# Fields that a tokenizer sees.
TEXT = ("system", "messages", "tools", "tool_choice", "output_config", "output_format")
KNOWN = frozenset(
    (
        *fields.ATTRIBUTION,
        *TEXT,
        *("model", "max_tokens", "stream", "stop_sequences", "temperature", "top_k", "top_p"),
        *("thinking", "service_tier", "cache_control", "context_management"),
    )
)
TYPES: dict[str, type] = {
    "tools": list,
    "thinking": dict,
    "context_management": dict,
    "service_tier": str,
}
PLAIN_BLOCKS = ("text", "thinking", "redacted_thinking", "tool_use", "search_result")
# tuples: what a client wrote may not be hashable
PLAIN_SOURCES = ("text", "content")
NESTED = ("tool_result", "document")
# Tools by the beginning of their dated names: run by the client, or by the server to a limit.
CLIENT_TOOLS = ("custom", "bash_", "text_editor_", "computer_", "memory_")
SERVER_TOOLS = ("web_search_", "web_fetch_")
# These think unasked: claude-sonnet-5, but not claude-opus-4-6 or claude-3-5-haiku.
THINKERS = re.compile(r"claude-[a-z]+-([5-9]|\d\d)(?!\d)")
OWN_TOOL_BYTES = 2048  # their built-in description is no text of the request

read_answer = anthropic_stream.read_answer
enrich = anthropic_stream.enrich


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly."""
    body = strict_json.load_object(raw)
    fields.objects(body, "messages")
    for name, kind in TYPES.items():
        typed(body, name, kind)
    if not isinstance(body.get("system"), str):
        typed(body, "system", list)
    return Asked(
        body=body,
        model=fields.model_of(body),
        is_stream=typed(body, "stream", bool) or False,
        max_output=whole(body, "max_tokens"),
        attribution=fields.attribution(body),
    )


def size(asked: Asked) -> Size:
    """Measure the request for its upper bound."""
    body = asked.body
    text = fields.encode([body[name] for name in TEXT if name in body])
    tools = body.get("tools") or []
    uses = sum(uses_of(tool) or 0 for tool in tools)
    own = sum(not _kind(tool).startswith("custom") for tool in tools)
    classes = ["input", "cache_read"]
    if b'"cache_control"' in text or body.get("cache_control"):
        classes += ("cache_write", "cache_write_1h")
    return Size(
        text_bytes=fields.text_length(text) + OWN_TOOL_BYTES * own,
        messages=1 + len(body["messages"]),
        tools=len(tools),
        media=media(body["messages"], "messages"),
        rounds=1 + uses,
        web_searches=sum(uses_of(t) or 0 for t in tools if _kind(t).startswith("web_search_")),
        unbounded=_unbounded(body, tools),
        input_classes=tuple(classes),
        output_classes=("output", "reasoning"),
    )


def _kind(tool: Any) -> str:
    """Return the dated type of a tool; without one the client wrote it."""
    kind = (tool.get("type") or "custom") if isinstance(tool, dict) else ""
    return kind if isinstance(kind, str) else ""


def uses_of(tool: Any) -> int | None:
    """Return how often the server may run a tool of its own; None without a limit."""
    if not _kind(tool).startswith(SERVER_TOOLS):
        return None
    return whole(tool, "max_uses", MOST_USES)


def _unbounded(body: Json, tools: list[Any]) -> str | None:
    """Name the first field that lets the bill grow without a limit, or that nobody knows."""
    for number, tool in enumerate(tools):
        if _kind(tool).startswith(SERVER_TOOLS):
            if uses_of(tool) is None:
                return f"tools[{number}].max_uses"
        elif not _kind(tool).startswith(CLIENT_TOOLS):
            return f"tools[{number}].type"
    edits = (body.get("context_management") or {}).get("edits") or []
    if not isinstance(edits, list) or not all(_clears(edit) for edit in edits):
        return "context_management"
    return fields.unknown(body, KNOWN)


def _clears(edit: Any) -> bool:
    """Tell whether an edit of the context only leaves something out; a compaction is billed."""
    return _kind(edit).startswith("clear_")


def media(entries: Any, name: str) -> str | None:
    """Name the first block that is no text of this request, however deep it stands."""
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        place = f"{name}[{number}]"
        inner = entry.get("content") if isinstance(entry, dict) else None
        kind = _kind(entry)
        if kind == "document" and not inner:
            source = entry.get("source")
            inner = source.get("content") if isinstance(source, dict) else None
            if not isinstance(source, dict) or source.get("type") not in PLAIN_SOURCES:
                return place
        if kind != "custom" and kind not in PLAIN_BLOCKS and kind not in NESTED:
            return place
        if found := media(inner, f"{place}.content"):
            return found
    return None


def system_text(asked: Asked) -> str:
    """Return the system prompt."""
    system = asked.body.get("system")
    blocks = system if isinstance(system, list) else [{"text": system}]
    texts = [fields.plain(block.get("text")) for block in blocks if isinstance(block, dict)]
    return "\n".join(text for text in texts if text)


def hides_reasoning(asked: Asked, model: str) -> bool:
    """Tell whether more is billed than is seen: summarized thoughts, rounds of server tools."""
    if any(not _kind(t).startswith(CLIENT_TOOLS) for t in asked.body.get("tools") or ()):
        return True
    thinking = (asked.body.get("thinking") or {}).get("type")
    return thinking != "disabled" if thinking else bool(THINKERS.search(model.lower()))


def upstream_path(asked: Asked, sending: Sending) -> str:
    """Return the path under the upstream's base."""
    return "/messages"


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent: the parsed body, without our fields, with our limit."""
    body = forwarded(asked, sending)
    if sending.max_output is not None:
        body["max_tokens"] = min(sending.max_output, body.get("max_tokens") or sending.max_output)
    return fields.encode(body)


def forwarded(asked: Asked, sending: Sending) -> Json:
    """Return the body for the provider, which knows one member of `metadata` and refuses others."""
    body = fields.without(asked.body, sending.strip, fields.ATTRIBUTION)
    metadata = asked.body.get("metadata") or {}
    if "user_id" in metadata and "metadata" not in sending.strip:
        body["metadata"] = {"user_id": metadata["user_id"]}
    body["model"] = sending.model
    return body


def meter(asked: Asked) -> Meter:
    """Start metering one stream."""
    return Meter()
