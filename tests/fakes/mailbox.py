"""A mail server that keeps what it confirmed, and may end a client at any step of the dialogue."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message

HELLO, SENDER, RECIPIENT, BODY, CONFIRMED, NEXT = (
    *("hello", "sender", "recipient", "body", "confirmed", "next"),
)


@dataclass(frozen=True)
class Letter:
    """A message that was confirmed: from then on it is the reader's."""

    at: datetime
    recipient: str
    message: Message

    @property
    def id(self) -> str:
        """Return its Message-ID."""
        return str(self.message["Message-ID"])


@dataclass
class Session:
    """One client: its process by the name it gives itself, and what it is sending."""

    pid: int = 0
    recipient: str = ""
    has_confirmed: bool = False


@dataclass
class Mailbox:
    """Listens on a port of loopback. `ends(step)` says whether the client's process is killed there."""

    ends: Callable[[str], bool] = lambda _: False
    slow_s: float = 0
    port: int = 0
    letters: list[Letter] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)  # the step at which each client ended
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __enter__(self) -> "Mailbox":
        """Listen, in a thread."""
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session()
        try:
            await self._dialogue(session, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _dialogue(
        self, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._say(writer, "220 mailbox")
        while line := (await reader.readline()).decode().strip():
            if self._is_ended(NEXT if session.has_confirmed else "", session):
                break
            if not await self._answer(line, session, reader, writer):
                break

    async def _answer(
        self,
        line: str,
        session: Session,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer a command; say whether the dialogue goes on."""
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if verb in {"EHLO", "HELO"}:
            session.pid = int(rest.removeprefix("worker-")) if "worker-" in rest else 0
        if verb == "RCPT":
            session.recipient = rest.partition("<")[2].partition(">")[0]
        step = {"EHLO": HELLO, "MAIL": SENDER, "RCPT": RECIPIENT}.get(verb, "")
        if self._is_ended(step, session):
            return False
        if verb == "DATA":
            await self._say(writer, "354 go on")
            return await self._take(await reader.readuntil(b"\r\n.\r\n"), session, writer)
        await self._say(writer, "221 bye" if verb == "QUIT" else "250 ok")
        return verb != "QUIT"

    async def _take(self, text: bytes, session: Session, writer: asyncio.StreamWriter) -> bool:
        """Confirm a message and keep it, unless its client ends first."""
        await asyncio.sleep(self.slow_s)
        if self._is_ended(BODY, session):
            return False
        is_last = session.pid and self.ends(CONFIRMED)
        if is_last:  # it gets the confirmation and cannot do anything with it any more
            os.kill(session.pid, signal.SIGSTOP)
        self.letters.append(
            Letter(datetime.now(UTC), session.recipient, message_from_bytes(text[:-5]))  # noqa: TID251 -- the wall clock is what is measured
        )
        session.has_confirmed = True
        await self._say(writer, "250 ok")
        if is_last:
            self._end(CONFIRMED, session)
        return not is_last

    def _is_ended(self, step: str, session: Session) -> bool:
        """End the client here if it is to end; say whether it did."""
        if not step or not session.pid or not self.ends(step):
            return False
        self._end(step, session)
        return True

    def _end(self, step: str, session: Session) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(session.pid, signal.SIGKILL)
            self.killed.append(step)

    async def _say(self, writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(f"{text}\r\n".encode())
        await writer.drain()
