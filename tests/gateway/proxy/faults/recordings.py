"""One small exchange per wire format, written by hand: what is asked, and what the provider answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.proxy.protocols.wire import Dialect
from tests.gateway.running import MODEL

Json = dict[str, Any]
MARK = "max_tokens"
LIMIT = 64


@dataclass(frozen=True)
class Recording:
    """An exchange: 5 tokens read, 3 written, wherever the format says that."""

    name: str  # the wire format in the books
    dialect: Dialect
    kind: str  # of the upstream that speaks it
    path: str  # of the gateway
    asked: Callable[[str], Json]
    whole: bytes
    stream: bytes = b""  # empty: the format has none
    told: bytes = b""  # once this part of the stream was read, its usage is known
    stream_path: str = ""  # where it is not said in the body
    cost: str = "0.000011"  # at 1 USD per million tokens read, 2 per million written

    @property
    def label(self) -> str:
        """Return a name that no other exchange has."""
        return f"{self.name}{'_array' * self.is_array}"

    @property
    def is_array(self) -> bool:
        """Tell whether the stream is one JSON array."""
        return self.stream.startswith(b"[")

    def request(self, text: str, *, is_stream: bool, way: str = "") -> tuple[str, bytes]:
        """Return path and body of a call; `way` is the upstream to take, in the model's name."""
        body, model = self.asked(text), f"{way}{self.kind}"
        if "model" in body:
            body["model"] = model
        if is_stream and not self.stream_path:
            body["stream"] = True
        path = self.stream_path if is_stream and self.stream_path else self.path
        return path.replace(MODEL, model), json.dumps(body).encode()


def _data(*events: Json | str) -> bytes:
    """Return a stream of events without names."""
    texts = [e if isinstance(e, str) else json.dumps(e, separators=(",", ":")) for e in events]
    return b"".join(f"data: {text}\n\n".encode() for text in texts)


def _named(*events: Json) -> bytes:
    """Return a stream of events that are named by their type."""
    return b"".join(f"event: {event['type']}\n".encode() + _data(event) for event in events)


def _messages(text: str) -> Json:
    """Return the body that most formats share."""
    return {"model": MODEL, MARK: LIMIT, "messages": [{"role": "user", "content": text}]}


def _dump(body: Json | list[Json]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


USED = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
_chat = {"id": "c1", "model": MODEL}
CHAT = Recording(
    name="openai_chat",
    dialect="openai",
    kind="openai_compatible",
    path="/v1/chat/completions",
    asked=_messages,
    whole=_dump(
        {
            **_chat,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "word wörd"}}],
            "usage": USED,
        }
    ),
    stream=_data(
        {**_chat, "choices": [{"index": 0, "delta": {"content": "word "}}]},
        {**_chat, "choices": [{"index": 0, "delta": {"content": "wörd"}, "finish_reason": "stop"}]},
        {**_chat, "choices": [], "usage": USED},
        "[DONE]",
    ),
    told=_data({**_chat, "choices": [], "usage": USED}).rstrip(),
)
COMPLETIONS = Recording(
    name="openai_completions",
    dialect="openai",
    kind="openai_compatible",
    path="/v1/completions",
    asked=lambda text: {"model": MODEL, MARK: LIMIT, "prompt": text},
    whole=_dump({**_chat, "choices": [{"index": 0, "text": "word wörd"}], "usage": USED}),
    stream=_data(
        {**_chat, "choices": [{"index": 0, "text": "word "}]},
        {**_chat, "choices": [{"index": 0, "text": "wörd", "finish_reason": "stop"}]},
        {**_chat, "choices": [], "usage": USED},
        "[DONE]",
    ),
    told=_data({**_chat, "choices": [], "usage": USED}).rstrip(),
)
EMBEDDINGS = Recording(
    name="openai_embeddings",
    dialect="openai",
    kind="openai_compatible",
    path="/v1/embeddings",
    asked=lambda text: {"model": MODEL, "input": text},
    whole=_dump(
        {
            "object": "list",
            "model": MODEL,
            "data": [{"index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        }
    ),
    cost="0.000005",
)

_responded = {
    "id": "r1",
    "model": MODEL,
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "word wörd"}]}],
    "usage": {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8},
}
_ended = {"type": "response.completed", "response": _responded}
RESPONSES = Recording(
    name="openai_responses",
    dialect="openai",
    kind="openai_compatible",
    path="/v1/responses",
    asked=lambda text: {"model": MODEL, "max_output_tokens": LIMIT, "input": text},
    whole=_dump(_responded),
    stream=_named(
        {"type": "response.output_text.delta", "delta": "word "},
        {"type": "response.output_text.delta", "delta": "wörd"},
        _ended,
    ),
    told=_named(_ended).rstrip(),
)

_said = {"input_tokens": 5, "output_tokens": 3}
_message = {"id": "m1", "type": "message", "role": "assistant", "model": MODEL}
_delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": _said}
MESSAGES = Recording(
    name="anthropic_messages",
    dialect="anthropic",
    kind="anthropic",
    path="/v1/messages",
    asked=_messages,
    whole=_dump(_message | {"content": [{"type": "text", "text": "word wörd"}], "usage": _said}),
    stream=_named(
        {
            "type": "message_start",
            "message": {**_message, "usage": {"input_tokens": 5, "output_tokens": 1}},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "word wörd"},
        },
        _delta,
        {"type": "message_stop"},
    ),
    told=_named(_delta).rstrip(),
)


def _candidate(text: str, **more: Any) -> Json:
    parts = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"index": 0, "content": parts, **more}], "modelVersion": MODEL}


_used = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}
_begun = {"promptTokenCount": 5, "totalTokenCount": 5}
_first = _candidate("word ") | {"usageMetadata": _begun}
_last = _candidate("wörd", finishReason="STOP") | {"usageMetadata": _used}


def _contents(text: str) -> Json:
    return {
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {"maxOutputTokens": LIMIT, "thinkingConfig": {"thinkingBudget": 0}},
    }


GENERATE = Recording(
    name="gemini_generate",
    dialect="gemini",
    kind="gemini",
    path=f"/v1beta/models/{MODEL}:generateContent",
    asked=_contents,
    whole=_dump(_candidate("word wörd", finishReason="STOP") | {"usageMetadata": _used}),
    stream=_data(_first, _last),
    told=_data(_last).rstrip(),
    stream_path=f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
)
ARRAY = Recording(
    name="gemini_generate",
    dialect="gemini",
    kind="gemini",
    path=GENERATE.path,
    asked=_contents,
    whole=GENERATE.whole,
    stream=_dump([_first, _last]),
    told=_dump(_last),
    stream_path=f"/v1beta/models/{MODEL}:streamGenerateContent",
)
EMBED = Recording(
    name="gemini_embeddings",
    dialect="gemini",
    kind="gemini",
    path=f"/v1beta/models/{MODEL}:embedContent",
    asked=lambda text: {"content": {"parts": [{"text": text}]}},
    whole=_dump({"embedding": {"values": [0.5]}, "usageMetadata": {"promptTokenCount": 5}}),
    cost="0.000005",
)
ALL = (CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES, GENERATE, ARRAY, EMBED)


def answer(path: str, *, is_stream: bool) -> bytes:
    """Return the recorded body at an upstream's path."""
    found = next(r for r in _by_upstream_path(path))
    return found.stream if is_stream and found.stream else found.whole


def _by_upstream_path(path: str) -> list[Recording]:
    """Return the exchanges of a path at the provider, the fitting one first."""
    if ":stream" in path and "alt=sse" not in path:
        return [ARRAY]
    place, _, method = path.partition("?")[0].partition(":")
    method = method.removeprefix("stream").lower()
    if method:
        return [r for r in (GENERATE, EMBED) if r.path.lower().endswith(f":{method}")]
    return [r for r in ALL if r.path == place]
