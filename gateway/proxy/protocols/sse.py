"""Server-sent events, split as they come; the bytes of all events together are the bytes read."""

import re

from gateway.proxy.protocols.wire import StreamError

LINE = 1 << 20
EVENT = 4 << 20
BLANK = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
ENDS = re.compile(rb"\r\n|\n|\r")
BOM = b"\xef\xbb\xbf"


# One event: the bytes it stood in, with its blank line, and its data (None without).
Event = tuple[bytes, bytes | None]


class Splitter:
    """Splits a stream at any chunk borders."""

    __slots__ = ("_checked", "_line", "_rest", "_scanned")

    def __init__(self) -> None:
        """Start with nothing read."""
        self._rest = bytearray()
        self._scanned = 0
        self._line = self._checked = (
            0  # where the open line begins, and how far that was looked for
        )

    def feed(self, chunk: bytes) -> list[Event]:
        """Take a chunk; return the events that are complete now."""
        if not self._rest and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            if chunk.find(b"\n") == len(chunk) - 2 and chunk.startswith(b"data: "):
                return [_plain(chunk)]  # nearly every chunk is one event of one line
            return [_event(part + b"\n\n") for part in chunk[:-2].split(b"\n\n")]
        self._rest += chunk
        rest, begin, events = self._rest, 0, []
        found = BLANK.search(rest, self._scanned)
        while found:
            events.append(_event(bytes(rest[begin : found.end()])))
            begin = found.end()
            found = BLANK.search(rest, begin)
        del rest[:begin]
        self._scanned = max(0, len(rest) - 3)  # a blank line may be cut anywhere in its 4 bytes
        if begin:
            self._line = self._checked = 0
        if len(rest) > LINE:
            self._check_open()
        return events

    def _check_open(self) -> None:
        """Refuse what stands open over its limit; looks at each byte once, however few come."""
        rest = self._rest
        found = max(rest.rfind(b"\n", self._checked), rest.rfind(b"\r", self._checked))
        self._line = found + 1 or self._line
        self._checked = len(rest)
        if len(rest) - self._line > LINE or len(rest) > EVENT:
            _check(rest)

    def rest(self) -> Event | None:
        """Return what stands unfinished at the end of the stream, and forget it."""
        if not self._rest:
            return None
        raw = bytes(self._rest)
        self._rest.clear()
        self._scanned = 0
        return _event(raw)


def unread(event: Event) -> int:
    """Return the bytes of an event that cannot be read: its client may; one that is cut counts 0."""
    raw, data = event
    return len(data or b"") if raw.endswith((b"\n", b"\r")) else 0


def _check(raw: bytes | bytearray) -> None:
    """Refuse an event or a line over its limit."""
    if len(raw) > EVENT:
        raise StreamError(f"An event of the upstream is longer than {EVENT} bytes.")
    if any(len(line) > LINE for line in ENDS.split(raw)):
        raise StreamError(f"A line of the upstream is longer than {LINE} bytes.")


def _plain(raw: bytes) -> Event:
    """Read an event that is one line of data."""
    if len(raw) > LINE:
        _check(raw)
    return raw, raw[6:-2]


def _event(raw: bytes) -> Event:
    """Read the data out of one event."""
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
        return _plain(raw)
    if len(raw) > LINE:
        _check(raw)
    lines = []
    for line in ENDS.split(raw.removeprefix(BOM)):
        if line.startswith(b"data:"):
            lines.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line == b"data":
            lines.append(b"")
    return raw, b"\n".join(lines) if lines else None
