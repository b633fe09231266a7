"""A stream that is one JSON array, split into its elements as they come."""

import re

from gateway.proxy.protocols.sse import EVENT, Event
from gateway.proxy.protocols.wire import StreamError

OUTSIDE = re.compile(rb'["{}\[\]]')
INSIDE = re.compile(rb'["\\]')
OPENING = b"{["


class Splitter:
    """Splits a stream at any chunk borders; the bytes of all events together are the bytes read."""

    __slots__ = ("_at", "_begin", "_depth", "_is_text", "_rest", "_top", "is_closed")

    def __init__(self) -> None:
        """Start with nothing read."""
        self.is_closed = False  # the array's own bracket was read
        self._rest = bytearray()
        self._at = 0  # read so far
        self._begin: int | None = None  # of the element that stands open
        self._depth = 0
        self._top = 1  # depth between elements; 0 where the body is one object, an error say
        self._is_text = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Take a chunk; return the elements that are complete now, each with what stood before."""
        return [(chunk, None)] if self.is_closed else self._split(chunk)

    def _split(self, chunk: bytes) -> list[Event]:
        """Look for the ends of elements in what is new."""
        events: list[Event] = []
        rest, done = self._rest, 0
        rest += chunk
        while found := (INSIDE if self._is_text else OUTSIDE).search(rest, self._at):
            self._at = found.end()
            event = self._step(found[0], found.start())
            if event is not None:
                events.append((bytes(rest[done : self._at]), event))
                done = self._at
            elif self.is_closed:
                break
        if self.is_closed:
            events.append((bytes(rest[done:]), None))
            rest.clear()
            return events
        self._keep(done)
        return events

    def rest(self) -> Event | None:
        """Return what stands unfinished at the end of the stream, and forget it."""
        if not self._rest:
            return None
        raw = bytes(self._rest)
        self._rest.clear()
        return raw, None

    def _step(self, mark: bytes, start: int) -> bytes | None:
        """Follow one mark; return the element that it completes."""
        if self._is_text:
            self._at += mark == b"\\"  # the escaped byte says nothing
            self._is_text = mark != b'"'
        elif mark == b'"':
            self._is_text = True
        elif mark in OPENING:
            self._open(mark, start)
        else:
            return self._close()
        return None

    def _open(self, mark: bytes, start: int) -> None:
        """Go one deeper."""
        if self._depth == 0:
            self._top = int(mark == b"[")
        if self._depth == self._top and mark == b"{":
            self._begin = start
        self._depth += 1

    def _close(self) -> bytes | None:
        """Come back up; return the element that ends here."""
        self._depth -= 1
        if self._depth == self._top and self._begin is not None:
            element = bytes(self._rest[self._begin : self._at])
            self._begin = None
            return element
        self.is_closed = self._depth <= 0
        return None

    def _keep(self, done: int) -> None:
        """Forget what went out, and refuse an element over the limit."""
        del self._rest[:done]
        # a mark skipped past the end of the chunk stays skipped
        self._at = max(self._at, done + len(self._rest)) - done
        if self._begin is not None:
            self._begin -= done
        if len(self._rest) > EVENT:
            raise StreamError(f"An element of the upstream is longer than {EVENT} bytes.")
