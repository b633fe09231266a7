"""A provider that bills to its own file: the ground truth that the books are compared with.

Run it as `python -m tests.fakes.provider PORT FILE`. What it does is asked for in the last message,
so that it works behind any gateway: "hello @slow=0.5 @cut=3 @tokens=20".

slow=S    seconds before the answer       gap=S    seconds between the chunks of a stream
cut=N     break off after N chunks        status=N answer with this error; nothing is billed
tokens=N  output tokens (never above the limit of the call, unless over=1)
usage=none | absurd | lie | chunk         leave it out, send nonsense, state ten times as much,
                                          put it into the last chunk with choices
error=1   an error inside a 200 stream    gzip=1   answer compressed though it may not be
"""

import asyncio
import gzip
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

WISH = re.compile(r"@(\w+)=([\w.]+)")
USUAL = 16
JSON = [(b"content-type", b"application/json")]


class CutError(ConnectionError):
    """Raised to make the server drop the connection in the middle of an answer."""


class Books:
    """The bill: one line per accepted request, on disk before the answer begins."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending."""
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, **line: Any) -> None:
        """Write one line and force it to the disk."""
        os.write(self._file, json.dumps(line).encode() + b"\n")
        os.fsync(self._file)

    def lines(self) -> list[dict[str, Any]]:
        """Return what was billed."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]


class Call:
    """One accepted chat completion and the usage it is billed for."""

    def __init__(self, body: dict[str, Any], request_id: str) -> None:
        """Read what is asked and what is wished."""
        text = str(body["messages"][-1].get("content", ""))
        self.id = request_id
        self.model = body["model"]
        self.is_stream = bool(body.get("stream"))
        self.wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        self.wishes = dict(WISH.findall(text))
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        tokens = int(self.wishes.get("tokens", USUAL))
        over = "over" in self.wishes
        self.tokens = tokens if limit is None or over else min(tokens, limit)
        self.choices = body.get("n") or 1
        self.read = sum(4 + len(str(m.get("content", "")).split()) for m in body["messages"])

    def number(self, wish: str) -> float:
        """Return a wished number, or zero."""
        return float(self.wishes.get(wish, 0))

    @property
    def produced(self) -> int:
        """Return the output tokens that will leave, cut or not."""
        cut = self.wishes.get("cut")
        each = self.tokens if cut is None or not self.is_stream else min(self.tokens, int(cut))
        return each * self.choices

    def usage(self) -> dict[str, Any] | None:
        """Return the usage to report, true or not."""
        wish = self.wishes.get("usage")
        if wish == "none":
            return None
        if wish == "absurd":
            return {"prompt_tokens": -1, "completion_tokens": "many", "total_tokens": 10**30}
        written = self.tokens * self.choices * (10 if wish == "lie" else 1)
        return {
            "prompt_tokens": self.read,
            "completion_tokens": written,
            "total_tokens": self.read + written,
        }

    def chunk(self, choices: list[dict[str, Any]], usage: Any = None) -> bytes:
        """Return one event of the stream."""
        body: dict[str, Any] = {
            "id": f"chatcmpl-{self.id}",
            "object": "chat.completion.chunk",
            "model": self.model,
            "choices": choices,
        }
        if self.wants_usage or usage:
            body["usage"] = usage
        return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"

    def events(self) -> list[bytes]:
        """Return the events of the stream."""
        if "error" in self.wishes:
            return [b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n']
        word = [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]
        last = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        in_chunk = self.wishes.get("usage") == "chunk"
        events = [self.chunk(word) for _ in range(self.tokens * self.choices)]
        events.append(self.chunk(last, self.usage() if in_chunk else None))
        if self.wants_usage and not in_chunk and self.usage():
            events.append(self.chunk([], self.usage()))
        return [*events, b"data: [DONE]\n\n"]

    def whole(self) -> bytes:
        """Return the complete answer."""
        message = {"role": "assistant", "content": "word " * self.tokens}
        choice = {"message": message, "finish_reason": "stop"}
        body = {
            "id": f"chatcmpl-{self.id}",
            "object": "chat.completion",
            "model": self.model,
            "choices": [{"index": number, **choice} for number in range(self.choices)],
        }
        usage = self.usage()
        return json.dumps(body if usage is None else {**body, "usage": usage}).encode()


class Provider:
    """The ASGI application."""

    def __init__(self, path: Path) -> None:
        """Bill to the file at `path`."""
        self.books = Books(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["method"] != "POST":
            await answer(send, 200, b'{"ok":true}')
            return
        headers = dict(scope["headers"])
        call = Call(json.loads(await body_of(receive)), headers.get(b"x-request-id", b"").decode())
        await asyncio.sleep(call.number("slow"))
        status = int(call.number("status"))
        if status:
            error = {"message": f"asked for {status}", "type": "fake", "code": "fake"}
            await answer(send, status, json.dumps({"error": error}).encode(), retry_after=b"1")
            return
        self.books.write(
            id=call.id,
            model=call.model,
            prompt_tokens=call.read,
            completion_tokens=call.produced,
            stream=call.is_stream,
            authorization=headers.get(b"authorization", b"").decode()[-4:],
        )
        await (stream(call, send) if call.is_stream else unary(call, send))


async def body_of(receive: Receive) -> bytes:
    """Read the whole body of a request."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def answer(send: Send, status: int, body: bytes, retry_after: bytes | None = None) -> None:
    """Send a complete answer."""
    headers = [*JSON, (b"content-length", str(len(body)).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", retry_after))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def unary(call: Call, send: Send) -> None:
    """Send a complete answer, whole, cut or compressed."""
    body, headers = call.whole(), [*JSON, (b"x-request-id", f"req_{call.id}".encode())]
    if "gzip" in call.wishes:
        body = gzip.compress(body)
        headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if "cut" in call.wishes:
        await send({"type": "http.response.body", "body": body[:20], "more_body": True})
        raise CutError
    await send({"type": "http.response.body", "body": body})


async def stream(call: Call, send: Send) -> None:
    """Send a stream, event by event."""
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"x-request-id", f"req_{call.id}".encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    cut = int(call.wishes.get("cut", -1))
    for number, event in enumerate(call.events()):
        if number == cut:
            raise CutError
        await send({"type": "http.response.body", "body": event, "more_body": True})
        if gap := call.number("gap"):
            await asyncio.sleep(gap)
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve on a loopback port until terminated."""
    import uvicorn  # noqa: PLC0415  only the program needs a server

    port, path = int(sys.argv[1]), Path(sys.argv[2])
    uvicorn.run(Provider(path), host="127.0.0.1", port=port, log_level="critical")


if __name__ == "__main__":
    main()
