"""The server's HTTP/1.1 protocol with what ours needs: limits on heads, word of clients that leave."""

import asyncio
import functools
from collections.abc import MutableMapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.proxy.answer import Reply

Scope = MutableMapping[str, Any]

HEAD_SECONDS = 10.0
HEAD_BYTES = 64 * 1024
LARGE = 64 * 1024
GONE = "tollkeeper.gone"  # in the scope: what our protocol calls when the client disconnects
ABORT = "tollkeeper.abort"  # in the scope: our protocol's way to end a connection at once
WHOLE = "tollkeeper.whole"  # in the scope: our protocol's way to write a whole answer


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline and a size for heads, which tells when a client leaves."""

    _deadline: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Wait for a head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request under way that its client left."""
        self._got_head()
        cycle: Any = self.cycle  # None before the first request
        super().connection_lost(exc)
        if cycle is not None and not cycle.response_complete:
            gone = cycle.scope.get(GONE)
            if gone is not None:
                gone()

    def data_received(self, data: bytes) -> None:
        """Count the bytes of an unfinished head."""
        if self._deadline is not None:
            self._head += len(data)
        super().data_received(data)
        if self._deadline is not None and self._head > HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Give every further head its deadline too."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Take the head."""
        self._got_head()
        scope: Scope = cast("Scope", self.scope)
        scope[GONE] = None  # says that we tell
        super().on_headers_complete()
        scope[ABORT] = self.transport.abort
        if scope["method"] != "HEAD":
            scope[WHOLE] = functools.partial(self.respond, self.cycle)

    def respond(self, cycle: Any, reply: Reply) -> bool:
        """Write a whole answer at once; False when the server's own, slower way must be taken."""
        if self.flow.write_paused or cycle.disconnected or cycle.response_started:
            return False
        if len(reply.body) > LARGE:
            return False  # a slow reader gets it piece by piece
        headers = [*self.server_state.default_headers, *reply.headers]
        if not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        parts = [STATUS_LINE[reply.status]]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        head = b"".join(parts) + b"content-length: %d\r\n\r\n" % len(reply.body)
        if head.count(b"\n") != len(headers) + 3:
            return False  # a value with a line break: refused there
        self.transport.write(head + reply.body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._head = 0
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _got_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.transport.close()
