"""Requests to the demo upstream in every wire format, sent as the gateway sends them."""

import json
from dataclasses import dataclass, field
from typing import Any

from attribution.outbound.addresses import Origin
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
from gateway.proxy.protocols.wire import Format, Sending
from gateway.proxy.upstream.client import Request
from gateway.proxy.upstream.demo.answers import DemoResponse, open_demo

HELLO = "Hello there, demo! Wie geht's? 你好"
TURN = [{"role": "user", "content": HELLO}]
PARTS = {"role": "user", "parts": [{"text": HELLO}]}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
ARGUMENTS = {"city": "demo", "days": 1}
GEMINI = {"model": "demo", "method": "generateContent"}


@dataclass(frozen=True)
class Way:
    """How to ask in one format: for words, for a stream, for few tokens, for the call of a tool."""

    format: Format
    body: dict[str, Any]
    stream: dict[str, Any] = field(default_factory=dict)
    limit: str = "max_tokens"
    tool: dict[str, Any] = field(default_factory=dict)
    path: dict[str, str] = field(default_factory=dict)
    stream_path: dict[str, str] = field(default_factory=dict)

    def asked(self, *, is_stream: bool = False, **fields: Any) -> tuple[Any, Request]:
        """Return what the gateway understands of a request, and what it sends."""
        body = {"model": "demo", **self.body, **(self.stream if is_stream else {}), **fields}
        path = self.stream_path if is_stream else self.path
        asked = self.format.parse_request(json.dumps(body).encode(), path)
        sending = Sending("demo")
        raw = self.format.outgoing(asked, sending)
        place = self.format.upstream_path(asked, sending)
        return asked, Request(Origin("https", "demo", 443), place, [], raw)

    def few(self, tokens: int) -> dict[str, Any]:
        """Return the fields that limit the answer."""
        outer, _, inner = self.limit.partition(".")
        return {outer: {inner: tokens} if inner else tokens}

    async def ask(self, *, is_stream: bool = False, **fields: Any) -> DemoResponse:
        """Ask without the demo's pauses."""
        return await open_demo(self.asked(is_stream=is_stream, **fields)[1], pace=0)


CHAT_TOOL = {"type": "function", "function": {"name": "plan_trip", "parameters": SCHEMA}}
WAYS = {
    "chat": Way(
        openai_chat,
        {"messages": TURN},
        {"stream": True, "stream_options": {"include_usage": True}},
        tool={"tools": [CHAT_TOOL], "tool_choice": "required"},
    ),
    "completions": Way(
        openai_completions,
        {"prompt": [HELLO, "and again"]},
        {"stream": True, "stream_options": {"include_usage": True}},
    ),
    "responses": Way(
        openai_responses,
        {"input": HELLO, "instructions": "Be brief."},
        {"stream": True},
        limit="max_output_tokens",
        tool={
            "tools": [{"type": "function", "name": "plan_trip", "parameters": SCHEMA}],
            "tool_choice": "required",
        },
    ),
    "messages": Way(
        anthropic_messages,
        {"messages": TURN, "system": "Be brief.", "max_tokens": 1000},
        {"stream": True},
        tool={
            "tools": [{"name": "plan_trip", "input_schema": SCHEMA}],
            "tool_choice": {"type": "any"},
        },
    ),
    "gemini": Way(
        gemini_generate,
        {"contents": [PARTS], "systemInstruction": {"parts": [{"text": "Be brief."}]}},
        limit="generationConfig.maxOutputTokens",
        tool={
            "tools": [{"functionDeclarations": [{"name": "plan_trip", "parameters": SCHEMA}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        },
        path=GEMINI,
        stream_path={**GEMINI, "method": "streamGenerateContent", "alt": "sse"},
    ),
    "gemini_array": Way(
        gemini_generate,
        {"contents": [PARTS]},
        limit="generationConfig.maxOutputTokens",
        path=GEMINI,
        stream_path={**GEMINI, "method": "streamGenerateContent"},
    ),
}
EMBEDDINGS = {
    "openai": Way(openai_embeddings, {"input": [HELLO, "and again"]}),
    "gemini": Way(gemini_embeddings, {"content": PARTS}, path=GEMINI),
    "gemini_batch": Way(
        gemini_embeddings, {"requests": [{"content": PARTS}, {"content": PARTS}]}, path=GEMINI
    ),
}
COUNTS = {
    "anthropic": Way(anthropic_count_tokens, {"messages": TURN, "system": "Be brief."}),
    "gemini": Way(gemini_count_tokens, {"contents": [PARTS]}, path=GEMINI),
}
