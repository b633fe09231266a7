"""A provider that answers with what was recorded: status, headers and bytes, cut wherever one likes.

A case is named by the first part of the path, so that one server plays all of them.
"""

import asyncio
import base64
import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.provider import Receive, Scope, Send, body_of

Case = dict[str, Any]
DECODED = {"content-encoding", "content-length", "transfer-encoding", "connection"}
MOST_CUTS = 24
TURNS = 4  # of the loop, in which a reader in the same loop meets the border


@dataclass
class Heard:
    """A request as it arrived: what the gateway made of it."""

    path: str
    query: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Recorded:
    """The ASGI application."""

    cases: dict[str, Case]
    load: Callable[[Case], Case]
    seed: int | None = None  # of the places where bodies are cut; None leaves them whole
    heard: dict[str, list[Heard]] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with the case that its path names."""
        if scope["type"] != "http":
            return
        name, _, place = scope["path"].removeprefix("/").partition("/")
        raw = await body_of(receive)
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        heard = Heard(f"/{place}", scope["query_string"].decode(), headers, json.loads(raw))
        self.heard.setdefault(name, []).append(heard)
        response = self.load(self.cases[name])["response"]
        start = {"status": response["status"], "headers": head(response)}
        await send({"type": "http.response.start", **start})
        body = bytes_of(response)
        parts = [body] if self.seed is None else cut(body, f"{name} {self.seed}")
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
            for _ in range(TURNS):
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


def head(response: Case) -> list[tuple[bytes, bytes]]:
    """Return the recorded headers that still hold of a decoded body."""
    return [
        (name.lower().encode(), value.encode())
        for name, values in response["headers"].items()
        if name.lower() not in DECODED
        for value in values
    ]


def bytes_of(response: Case) -> bytes:
    """Return the recorded bytes of a body."""
    if "body_base64" in response:
        return base64.b64decode(response["body_base64"])
    body = response["body"]
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def cut(body: bytes, seed: str) -> Iterator[bytes]:
    """Cut a body in random places, which may lie inside a character or a line break."""
    dice = random.Random(seed)  # noqa: S311  no secret
    count = dice.randint(2, MOST_CUTS)
    borders = sorted({0, len(body), *(dice.randint(0, len(body)) for _ in range(count))})
    for begin, end in itertools.pairwise(borders):
        yield body[begin:end]
