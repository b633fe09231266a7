"""The demo's responses, in OpenAI's newer format."""

import time
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
    """Answer `/responses`."""
    given = body.get("input")
    if not isinstance(given, str | list):
        raise NotUnderstoodError("`input` is missing.")
    said = say(given, body.get("max_output_tokens"), _wish(body))
    told = [body["instructions"]] if body.get("instructions") else []
    items = given if isinstance(given, list) else [given]
    read = counted(*told, *items) + declared(body.get("tools"))
    begun = _begun(body, said)
    ended = {
        **begun,
        "status": _status(said),
        "incomplete_details": {"reason": "max_output_tokens"} if said.is_cut else None,
        "output": [_item(said)],
        "usage": _usage(read, said.count),
    }
    if body.get("stream"):
        return Spoken(_events(said, begun, ended), EVENTS)
    return Spoken.whole(ended, said.count)


def _wish(body: Json) -> Wish | None:
    """Return the call of a tool or the JSON that the request demands."""
    choice = body.get("tool_choice")
    named = choice.get("name") if isinstance(choice, dict) else None
    if choice == "required" or named:
        for tool in objects(body.get("tools")):
            if tool.get("type") == "function" and named in {None, tool.get("name")}:
                return Wish(tool.get("parameters"), str(tool.get("name")))
    form = part(part(body, "text"), "format")
    if form.get("type") == "json_object":
        return Wish({"properties": {"answer": {}}})
    return Wish(form.get("schema")) if form.get("type") == "json_schema" else None


def _status(said: Said) -> str:
    return "incomplete" if said.is_cut else "completed"


def _usage(read: int, written: int) -> Json:
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }


def _begun(body: Json, said: Said) -> Json:
    """Return a response of which nothing is written yet."""
    return {
        "id": f"resp_demo_{said.seed}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body.get("model"),
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "usage": None,
        "metadata": {},
    }


def _text(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _item(said: Said, *, is_begun: bool = False) -> Json:
    """Return the one item of the output, empty while it is only begun."""
    status = "in_progress" if is_begun else _status(said)
    if said.tool:
        return {
            "id": f"fc_demo_{said.seed}",
            "type": "function_call",
            "status": status,
            "call_id": f"call_demo_{said.seed}",
            "name": said.tool,
            "arguments": "" if is_begun else said.text,
        }
    return {
        "id": f"msg_demo_{said.seed}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [] if is_begun else [_text(said.text)],
    }


def _events(said: Said, begun: Json, ended: Json) -> list[bytes]:
    """Return the events of a stream, numbered, one token each."""
    place = {"item_id": _item(said)["id"], "output_index": 0}
    added = {"output_index": 0, "item": _item(said, is_begun=True)}
    happenings: list[tuple[str, Json]] = [
        ("created", {"response": begun}),
        ("in_progress", {"response": begun}),
        ("output_item.added", added),
        *(_arguments(said, place) if said.tool else _words(said, place)),
        ("output_item.done", {"output_index": 0, "item": _item(said)}),
        (_status(said), {"response": ended}),
    ]
    return [_event(n, name, members) for n, (name, members) in enumerate(happenings)]


def _arguments(said: Said, place: Json) -> list[tuple[str, Json]]:
    """Return what happens while the call of a tool is written."""
    name = "function_call_arguments"
    done = {**place, "name": said.tool, "arguments": said.text}
    deltas = [(f"{name}.delta", {**place, "delta": piece}) for piece in said.pieces]
    return [*deltas, (f"{name}.done", done)]


def _words(said: Said, place: Json) -> list[tuple[str, Json]]:
    """Return what happens while a text is written."""
    where = {**place, "content_index": 0}
    deltas = [
        ("output_text.delta", {**where, "logprobs": [], "delta": piece}) for piece in said.pieces
    ]
    return [
        ("content_part.added", {**where, "part": _text("")}),
        *deltas,
        ("output_text.done", {**where, "logprobs": [], "text": said.text}),
        ("content_part.done", {**where, "part": _text(said.text)}),
    ]


def _event(number: int, name: str, members: dict[str, Any]) -> bytes:
    kind = f"response.{name}"
    return event({"type": kind, **members, "sequence_number": number}, name=kind)
