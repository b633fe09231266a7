"""Answers that no client should have to read: error bodies, and ways to spoil a stream."""

import re
from collections.abc import Callable

from tests.fakes.framing import JSON, pieces

ERRORS = {
    "json": (
        b'{"type":"error","error":{"message":"as you wished","code":"fake","reason":"fake"}}',
        JSON,
    ),
    "html": (b"<html><h1>Too many</h1></html>", "text/html"),
    "broken": (b'{"error":{"message":"as you', JSON),
    "huge": (b'{"error":{"message":"' + b"x" * 200_000 + b'"}}', JSON),
    "cut": (b'{"error":{"message":"as', JSON),
    "billed": (
        b'{"type":"error","error":{"message":"late","code":"fake","reason":"fake"},'
        b'"usage":{"prompt_tokens":5,"completion_tokens":3,"input_tokens":5,"output_tokens":3},'
        b'"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":3}}',
        JSON,
    ),
}


def _counts(value: bytes) -> Callable[[bytes], bytes]:
    """Change every count of tokens in the usage."""

    def change(body: bytes) -> bytes:
        return COUNT.sub(rb"\g<1>" + value, body)

    return change


ERROR_EVENT = b'event: error\ndata: {"type":"error","error":{"message":"overloaded"}}\n\n'
COUNT = re.compile(rb'("\w*(?:[tT]oken)\w*":)\d+')
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "negative": _counts(b"-7"),
    "absurd": _counts(b"99999999999999999999"),
    "text": _counts(b'"many"'),
    "garbage": lambda body: b"data: {]\n\n\0\xff\n\ndata\n\n" + body,
    "only_garbage": lambda body: b"\x89PNG\r\n\x1a\n\0\0\0" * 20,
    "not_utf8": lambda body: body.replace(b"word", b"w\xffrd", 1),
    "joined": lambda body: body.replace(b"\n\n", b"\n"),
    "crlf": lambda body: body.replace(b"\n", b"\r\n"),
    "twice": lambda body: body + body,
    "nothing": lambda body: b"",
    "error": lambda body: ERROR_EVENT,
    "late_error": lambda body: next(pieces(body)) + ERROR_EVENT,
}
