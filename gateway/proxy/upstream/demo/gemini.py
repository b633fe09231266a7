"""The demo's content, in Gemini's format: whole, as events, as one JSON array."""

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
from gateway.proxy.upstream.demo.spoken import EVENTS, Spoken, encode, event

SCHEMAS = ("parametersJsonSchema", "parameters_json_schema", "parameters")  # as SDKs say it


def answer(body: Json, path: str) -> Spoken:
    """Answer `:generateContent` and `:streamGenerateContent`."""
    read = _read(body)
    config = part(body, "generationConfig")
    said = say(body["contents"], config.get("maxOutputTokens"), _wish(body))
    choices = whole_number(config.get("candidateCount"), 1)
    model = path.partition("/models/")[2].partition(":")[0]
    head = {"modelVersion": model, "responseId": f"demo-{said.seed}"}
    if ":streamGenerateContent" in path:
        pieces = [{**piece, **head} for piece in _pieces(said, read, choices)]
        return _streamed(pieces, is_array="alt=sse" not in path)
    candidates = [
        {**_candidate([_part(said)], number), "finishReason": _reason(said)}
        for number in range(choices)
    ]
    usage = _usage(read, said.count * choices)
    return Spoken.whole({"candidates": candidates, "usageMetadata": usage, **head}, said.count)


def count(body: Json, path: str) -> Spoken:
    """Answer `:countTokens`, of contents or of a whole request."""
    read = _read(part(body, "generateContentRequest") or body)
    return Spoken.whole({"totalTokens": read})


def _read(body: Json) -> int:
    """Count what the request says."""
    contents = body.get("contents")
    if not isinstance(contents, list):
        raise NotUnderstoodError("`contents` is missing.")
    system = [body["systemInstruction"]] if body.get("systemInstruction") else []
    return counted(*system, *contents) + declared(body.get("tools"))


def _wish(body: Json) -> Wish | None:
    """Return the call of a function or the JSON that the request demands."""
    calling = part(part(body, "toolConfig"), "functionCallingConfig")
    allowed = calling.get("allowedFunctionNames") or []
    if calling.get("mode") == "ANY":
        for tool in objects(body.get("tools")):
            for function in objects(tool.get("functionDeclarations")):
                if not allowed or function.get("name") in allowed:
                    schema = next((function[n] for n in SCHEMAS if n in function), None)
                    return Wish(schema, str(function.get("name")))
    config = part(body, "generationConfig")
    if config.get("responseMimeType") != "application/json":
        return None
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return Wish(schema or {"properties": {"answer": {}}})


def _reason(said: Said) -> str:
    return "MAX_TOKENS" if said.is_cut else "STOP"


def _usage(read: int, written: int) -> Json:
    return {
        "promptTokenCount": read,
        "candidatesTokenCount": written,
        "totalTokenCount": read + written,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": read}],
    }


def _part(said: Said) -> Json:
    """Return the one part of a whole answer."""
    if said.tool:
        return {"functionCall": {"name": said.tool, "args": said.arguments()}}
    return {"text": said.text}


def _candidate(parts: list[Json], number: int) -> Json:
    return {"content": {"parts": parts, "role": "model"}, "index": number}


def _pieces(said: Said, read: int, choices: int) -> list[Json]:
    """Return the pieces of a stream, one token each; the call of a function comes whole."""
    parts = [_part(said)] if said.tool else [{"text": piece} for piece in said.pieces]
    sizes = [said.count] if said.tool else [1] * said.count
    found, written = [], 0
    for number in range(choices):
        for place, (one, size) in enumerate(zip(parts, sizes, strict=True), 1):
            written += size
            candidate = _candidate([one], number)
            if place == len(parts):
                candidate["finishReason"] = _reason(said)
            found.append({"candidates": [candidate], "usageMetadata": _usage(read, written)})
    return found


def _streamed(pieces: list[Json], *, is_array: bool) -> Spoken:
    """Return the pieces as events, or as the elements of one array."""
    if not is_array:
        return Spoken([event(piece, end=b"\r\n\r\n") for piece in pieces], EVENTS)
    marks = [b"[", *[b",\r\n"] * (len(pieces) - 1)]
    elements = [mark + encode(piece) for mark, piece in zip(marks, pieces, strict=True)]
    return Spoken([*elements, b"]"])
