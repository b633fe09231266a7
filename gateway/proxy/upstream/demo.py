"""The built-in demo upstream: answers offline, streams, reports the usage of its own words."""

import asyncio
import hashlib
import json
import re
import time
from typing import Any

from gateway.proxy.upstream.client import Headers, Request
from gateway.proxy.upstream.connection import BODY

PIECE = re.compile(r"\s*(?:\w+|[^\w\s])")
MESSAGE_TOKENS = 4  # the marks around each message
USUAL = 48  # tokens of an answer without a limit
FIRST = (0.08, 0.17)  # seconds to the first token: at least, and spread
NEXT = 0.008  # seconds per further token
WORDS = (
    "This is the demo upstream of Tollkeeper. It answers without any network, so you can watch "
    "a call being attributed, priced and counted against its budgets before a real provider is "
    "connected. Every token of this text is counted, every cent of its cost is booked, and the "
    "charts show it within two seconds. Add an upstream of your own, point a route at it, and "
    "the same request will be answered by a real model with the same bookkeeping."
)
TOKENS = PIECE.findall(WORDS)


class DemoResponse:
    """An answer that is spoken at a natural pace."""

    __slots__ = ("_parts", "headers", "status")

    def __init__(
        self, status: int, parts: list[tuple[float, bytes]], *, is_stream: bool = False
    ) -> None:
        """Take the parts of the body, each with the seconds before it."""
        kind = b"text/event-stream" if is_stream else b"application/json"
        self.status = status
        self.headers: Headers = [(b"content-type", kind)]
        self._parts = parts[::-1]

    async def next(self) -> bytes:
        """Return the next part of the body; empty at its end."""
        if not self._parts:
            return b""
        wait, part = self._parts.pop()
        if wait:
            await asyncio.sleep(wait)
        return part

    async def read(self, limit: int = BODY) -> bytes:
        """Return the whole body."""
        parts = []
        while part := await self.next():
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Stop speaking."""
        self._parts.clear()


async def open_demo(request: Request, *, pace: float = 1.0) -> DemoResponse:
    """Answer a chat completion like a provider would; `pace` 0 answers without any delay."""
    if request.on_send is not None:
        request.on_send()
    asked = json.loads(request.body)
    messages = asked.get("messages")
    if not isinstance(messages, list):
        error = {"message": "`messages` is missing.", "type": "invalid_request_error"}
        return DemoResponse(400, [(0.0, json.dumps({"error": error}).encode())])
    seed = hashlib.sha256(json.dumps(messages).encode()).digest()
    first = (FIRST[0] + FIRST[1] * seed[0] / 255) * pace
    limit = asked.get("max_tokens") or asked.get("max_completion_tokens") or USUAL
    said = speech(seed, limit)
    usage = counted(messages, len(said) * (asked.get("n") or 1))
    head = {
        "id": f"chatcmpl-demo-{seed[:8].hex()}",
        "created": int(time.time()),
        "model": asked.get("model"),
    }
    reason = "length" if len(said) == limit else "stop"
    choices = [(number, said, reason) for number in range(asked.get("n") or 1)]
    if asked.get("stream"):
        wants_usage = (asked.get("stream_options") or {}).get("include_usage")
        parts = streamed(head, choices, usage if wants_usage else None)
        waits = [first, *[NEXT * pace] * (len(parts) - 1)]
        return DemoResponse(200, list(zip(waits, parts, strict=True)), is_stream=True)
    wait = first + NEXT * pace * len(said)
    return DemoResponse(200, [(wait, whole(head, choices, usage))])


def speech(seed: bytes, limit: int) -> list[str]:
    """Return the tokens of an answer: always the same for the same question."""
    length = min(limit, USUAL // 2 + seed[1] % USUAL)
    start = seed[2] % len(TOKENS)
    return [TOKENS[(start + i) % len(TOKENS)] for i in range(length)]


def counted(messages: list[Any], written: int) -> dict[str, int]:
    """Count the usage: the pieces of all text, and four tokens for the marks of each message."""
    read = sum(
        MESSAGE_TOKENS + len(PIECE.findall(_text(message.get("content")))) for message in messages
    )
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _text(content: Any) -> str:
    """Return the text of a message's content."""
    if isinstance(content, list):
        return " ".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def whole(
    head: dict[str, Any], choices: list[tuple[int, list[str], str]], usage: dict[str, int]
) -> bytes:
    """Return a complete answer."""
    found = [
        {
            "index": number,
            "message": {"role": "assistant", "content": "".join(said).strip()},
            "finish_reason": reason,
        }
        for number, said, reason in choices
    ]
    body = {**head, "object": "chat.completion", "choices": found, "usage": usage}
    return json.dumps(body, separators=(",", ":")).encode()


def streamed(
    head: dict[str, Any],
    choices: list[tuple[int, list[str], str]],
    usage: dict[str, int] | None,
) -> list[bytes]:
    """Return the events of a stream, one token each."""
    head = {**head, "object": "chat.completion.chunk"}
    events = []
    for number, said, reason in choices:
        deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant"}, None)]
        deltas += [({"content": token}, None) for token in said]
        for delta, end in [*deltas, ({}, reason)]:
            choice = {"index": number, "delta": delta, "finish_reason": end}
            events.append(_event({**head, "choices": [choice]}))
    if usage is not None:
        events.append(_event({**head, "choices": [], "usage": usage}))
    return [*events, b"data: [DONE]\n\n"]


def _event(body: dict[str, Any]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
