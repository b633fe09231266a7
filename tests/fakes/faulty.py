"""A provider that misbehaves on demand: every fault of a network, a server and a stream.

What it does is asked for in the call's own text, so that it works behind any gateway and in every
wire format: "hello @fault=drip @gap=0.1". A call without a wish gets the recorded answer of its path.
The faults are the functions of `tests.fakes.faults`; what they need besides their name, they say.
"""

import asyncio
import re
import ssl
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from tests.fakes.faults import FAULTS, HangUpError
from tests.fakes.framing import Heard

WISH = re.compile(rb"@(\w+)=([\w.-]+)")
STREAM = re.compile(rb'"stream":\s*true|:streamGenerateContent')

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answers(Protocol):
    """The recorded bodies."""

    def __call__(self, path: str, *, is_stream: bool) -> bytes:
        """Return the body at a path."""


@dataclass
class Faulty:
    """The server. `heard` holds what arrived, `connections` how many were opened."""

    answers: Answers
    tls: ssl.SSLContext | None = None
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    _turns: Counter[str] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, port: int) -> None:
        """Listen on a loopback port."""
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", port, ssl=self.tls, backlog=2000
        )

    async def stop(self) -> None:
        """End every connection."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def of(self, name: str) -> list[Heard]:
        """Return the requests of the case with this name."""
        return [heard for heard in self.heard if heard.wishes.get("case") == name]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, HangUpError):
            pass  # the other side left, or a fault ends the connection
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            top = await reader.readuntil(b"\r\n\r\n")
            sent = await reader.readexactly(int(_header(top, b"content-length") or 0))
            number += 1
            heard = self._hear(top, sent, (reader, writer), number)
            self.heard.append(heard)
            await FAULTS[heard.wishes.get("fault", "good")](heard)

    def _hear(self, top: bytes, sent: bytes, ends: Ends, number: int) -> Heard:
        path = top.split(b" ", 2)[1].decode()
        call = _header(top, b"x-request-id").decode()
        self._turns[call] += 1
        is_stream = bool(STREAM.search(sent) or STREAM.search(path.encode()))
        wishes = {name.decode(): value.decode() for name, value in WISH.findall(sent)}
        body = self.answers(path, is_stream=is_stream)
        turn, whole_ = self._turns[call], self.answers(path, is_stream=False)
        return Heard(path, call, is_stream, wishes, *ends, body, whole_, turn, number)


def _header(top: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?i)\r\n" + name + rb": *([^\r]*)", top)
    return found[1] if found else b""
