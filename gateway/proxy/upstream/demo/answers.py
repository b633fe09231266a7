"""Opens the demo upstream: finds the format of a request and speaks its answer at a natural pace."""

import asyncio
import hashlib
import json
from collections.abc import Callable

from gateway.proxy.protocols import errors
from gateway.proxy.protocols.wire import Dialect
from gateway.proxy.upstream.client import Headers, Request
from gateway.proxy.upstream.connection import BODY
from gateway.proxy.upstream.demo import chat, embeddings, gemini, messages, responses
from gateway.proxy.upstream.demo.speech import Json, NotUnderstoodError
from gateway.proxy.upstream.demo.spoken import JSON, Spoken

FIRST = (0.08, 0.17)  # seconds to the first token: at least, and spread
NEXT = 0.008  # seconds per further token

Answer = Callable[[Json, str], Spoken]
ANSWERS: dict[str, Answer] = {  # by the end of the path, without its query
    "/chat/completions": chat.answer,
    "/messages/count_tokens": messages.count,
    "/messages": messages.answer,
    "/completions": chat.complete,
    "/responses": responses.answer,
    "/embeddings": embeddings.answer,
    ":generateContent": gemini.answer,
    ":streamGenerateContent": gemini.answer,
    ":countTokens": gemini.count,
    ":embedContent": embeddings.embed,
    ":batchEmbedContents": embeddings.embed,
}


class DemoResponse:
    """An answer that is spoken at a natural pace."""

    __slots__ = ("_parts", "headers", "is_framed", "status")

    def __init__(self, status: int, parts: list[tuple[float, bytes]], kind: bytes = JSON) -> None:
        """Take the parts of the body, each with the seconds before it."""
        self.status, self.is_framed = status, True
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
    """Answer like a provider would; `pace` 0 answers without any delay."""
    if request.on_send is not None:
        request.on_send()
    place = request.path.partition("?")[0]
    answer = next((one for end, one in ANSWERS.items() if place.endswith(end)), None)
    if answer is None:
        return _refused(request.path, "not_found", "The demo has no such path.")
    try:
        spoken = answer(json.loads(request.body), request.path)
    except NotUnderstoodError as error:
        return _refused(request.path, "invalid_request", str(error))
    first = (FIRST[0] + FIRST[1] * hashlib.sha256(request.body).digest()[0] / 255) * pace
    first += NEXT * pace * spoken.written
    waits = [first, *[NEXT * pace] * (len(spoken.parts) - 1)]
    return DemoResponse(200, list(zip(waits, spoken.parts, strict=True)), spoken.kind)


def _refused(path: str, code: str, message: str) -> DemoResponse:
    """Refuse as the provider of this path would."""
    dialect: Dialect = "anthropic" if "/messages" in path else "openai"
    if "/models/" in path:
        dialect = "gemini"
    body = errors.body(dialect, code, message)
    return DemoResponse(errors.REFUSALS[code].status, [(0.0, body)])
