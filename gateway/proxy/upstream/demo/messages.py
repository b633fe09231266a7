"""The demo's messages, in Anthropic's format."""

from typing import Any

from gateway.proxy.upstream.demo.speech import (
    Json,
    NotUnderstoodError,
    Said,
    Wish,
    counted,
    declared,
    objects,
    part,
    say,
)
from gateway.proxy.upstream.demo.spoken import EVENTS, Spoken, event


def answer(body: Json, path: str) -> Spoken:
    """Answer `/messages`."""
    read = _read(body)
    said = say(body["messages"], body.get("max_tokens"), _wish(body))
    if body.get("stream"):
        return Spoken(_events(body, said, read), EVENTS)
    end = {"stop_reason": _reason(said), "stop_sequence": None}
    whole = {**_message(body, said, read, said.count), "content": [_block(said)], **end}
    return Spoken.whole(whole, said.count)


def count(body: Json, path: str) -> Spoken:
    """Answer `/messages/count_tokens`."""
    return Spoken.whole({"input_tokens": _read(body)})


def _read(body: Json) -> int:
    """Count what the request says."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise NotUnderstoodError("`messages` is missing.")
    system = [body["system"]] if body.get("system") else []
    return counted(*system, *messages) + declared(body.get("tools"))


def _wish(body: Json) -> Wish | None:
    """Return the call of a tool or the JSON that the request demands."""
    choice = part(body, "tool_choice")
    for tool in objects(body.get("tools")):
        is_named = choice.get("type") == "tool" and choice.get("name") == tool.get("name")
        if choice.get("type") == "any" or is_named:
            return Wish(tool.get("input_schema"), str(tool.get("name")))
    form = part(part(body, "output_config"), "format") or part(body, "output_format")
    return Wish(form.get("schema")) if form.get("type") == "json_schema" else None


def _reason(said: Said) -> str:
    if said.is_cut:
        return "max_tokens"
    return "tool_use" if said.tool else "end_turn"


def _usage(read: int, written: int) -> Json:
    """Return a usage object; nothing is cached here."""
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": read, **cached, "output_tokens": written}


def _message(body: Json, said: Said, read: int, written: int) -> Json:
    """Return a message without its content and its end."""
    return {
        "id": f"msg_demo_{said.seed}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(read, written),
    }


def _block(said: Said, *, is_empty: bool = False) -> Json:
    """Return the one block of an answer."""
    if said.tool:
        arguments = {} if is_empty else said.arguments()
        return {
            "type": "tool_use",
            "id": f"toolu_demo_{said.seed}",
            "name": said.tool,
            "input": arguments,
        }
    return {"type": "text", "text": "" if is_empty else said.text}


def _events(body: Json, said: Said, read: int) -> list[bytes]:
    """Return the events of a stream, one token each."""
    kind, name = ("input_json_delta", "partial_json") if said.tool else ("text_delta", "text")
    block = {"index": 0, "content_block": _block(said, is_empty=True)}
    end = {"stop_reason": _reason(said), "stop_sequence": None}
    return [
        _event("message_start", message=_message(body, said, read, 1)),
        _event("content_block_start", **block),
        *(
            _event("content_block_delta", index=0, delta={"type": kind, name: piece})
            for piece in said.pieces
        ),
        _event("content_block_stop", index=0),
        _event("message_delta", delta=end, usage=_usage(read, said.count)),
        _event("message_stop"),
    ]


def _event(name: str, **members: Any) -> bytes:
    return event({"type": name, **members}, name=name)
