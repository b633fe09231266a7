"""The demo's chat completions and legacy completions, in OpenAI's format."""

import time
from collections.abc import Iterator

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
    whole_number,
)
from gateway.proxy.upstream.demo.spoken import EVENTS, Spoken, event

DONE = b"data: [DONE]\n\n"


def answer(body: Json, path: str) -> Spoken:
    """Answer `/chat/completions`."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise NotUnderstoodError("`messages` is missing.")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    said = say(messages, limit, _wish(body))
    read = counted(*messages) + declared(body.get("tools"))
    head = _head(body, said, "chatcmpl")
    choices = whole_number(body.get("n"), 1)
    usage = _usage(read, said.count * choices)
    if body.get("stream"):
        events = [e for number in range(choices) for e in _deltas(said, number)]
        return _streamed({**head, "object": "chat.completion.chunk"}, events, body, usage)
    found = [
        {"index": number, "message": _message(said), "finish_reason": _reason(said)}
        for number in range(choices)
    ]
    whole = {**head, "object": "chat.completion", "choices": found, "usage": usage}
    return Spoken.whole(whole, said.count)


def complete(body: Json, path: str) -> Spoken:
    """Answer `/completions`: every prompt, as often as asked."""
    prompt = body.get("prompt")
    is_many = isinstance(prompt, list) and not all(isinstance(item, int) for item in prompt)
    prompts = prompt if isinstance(prompt, list) and is_many else [prompt]
    said = say(prompt, body.get("max_tokens"))
    read = counted(*prompts) + sum(len(one) for one in prompts if isinstance(one, list))
    choices = whole_number(body.get("n"), 1) * len(prompts)
    head = {**_head(body, said, "cmpl"), "object": "text_completion"}
    usage = _usage(read, said.count * choices)
    end = _reason(said)
    if body.get("stream"):
        events = [
            {"index": number, "text": text, "logprobs": None, "finish_reason": reason}
            for number in range(choices)
            for text, reason in [*((piece, None) for piece in said.pieces), ("", end)]
        ]
        return _streamed(head, events, body, usage)
    found = [
        {"index": number, "text": said.text, "logprobs": None, "finish_reason": end}
        for number in range(choices)
    ]
    return Spoken.whole({**head, "choices": found, "usage": usage}, said.count)


def _head(body: Json, said: Said, kind: str) -> Json:
    created = int(time.time())
    return {"id": f"{kind}-demo-{said.seed}", "created": created, "model": body.get("model")}


def _usage(read: int, written: int) -> Json:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _wish(body: Json) -> Wish | None:
    """Return the call of a tool or the JSON that the request demands; it may always get words."""
    choice = body.get("tool_choice")
    named = part(choice, "function").get("name")
    if choice == "required" or named:
        for tool in objects(body.get("tools")):
            function = part(tool, "function")
            if named in {None, function.get("name")}:
                return Wish(function.get("parameters"), str(function.get("name")))
    form = part(body, "response_format")
    if form.get("type") == "json_object":
        return Wish({"properties": {"answer": {}}})
    if form.get("type") == "json_schema":
        return Wish(part(form, "json_schema").get("schema"))
    return None


def _reason(said: Said) -> str:
    if said.is_cut:
        return "length"
    return "tool_calls" if said.tool else "stop"


def _call(said: Said, arguments: str) -> Json:
    function = {"name": said.tool, "arguments": arguments}
    return {"id": f"call_demo_{said.seed}", "type": "function", "function": function}


def _message(said: Said) -> Json:
    if said.tool:
        return {"role": "assistant", "content": None, "tool_calls": [_call(said, said.text)]}
    return {"role": "assistant", "content": said.text}


def _deltas(said: Said, number: int) -> Iterator[Json]:
    """Return the choices of one answer's chunks, a token each."""
    first: Json = {"role": "assistant", "content": "" if not said.tool else None}
    if said.tool:
        first["tool_calls"] = [{"index": 0, **_call(said, "")}]
    yield {"index": number, "delta": first, "finish_reason": None}
    for piece in said.pieces:
        called = [{"index": 0, "function": {"arguments": piece}}]
        delta = {"tool_calls": called} if said.tool else {"content": piece}
        yield {"index": number, "delta": delta, "finish_reason": None}
    yield {"index": number, "delta": {}, "finish_reason": _reason(said)}


def _streamed(head: Json, choices: list[Json], body: Json, usage: Json) -> Spoken:
    """Return the events of a stream; the usage only where it was asked for."""
    events = [event({**head, "choices": [choice]}) for choice in choices]
    if part(body, "stream_options").get("include_usage"):
        events.append(event({**head, "choices": [], "usage": usage}))
    return Spoken([*events, DONE], EVENTS)
