"""The end of an answer: held back until the call is settled, then sent with its costs."""

import re
from functools import cache

import msgspec

from gateway.proxy.protocols.wire import Costs

MOST = 64 * 1024  # bytes that may follow a usage, before it counts as not the last
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Held:
    """Bytes to send last, each with the usage object inside it (empty: none)."""

    __slots__ = ("_key", "_parts", "_size")

    def __init__(self, key: bytes = b"usage") -> None:
        """Start with nothing; `key` is the name of the usage member."""
        self._key = key
        self._parts: list[tuple[bytes, bytes]] = []
        self._size = 0

    def __bool__(self) -> bool:
        """Tell whether something is held."""
        return bool(self._parts)

    def add(self, raw: bytes, usage: bytes = b"") -> bytes:
        """Hold `raw`; return what goes out in its place: nothing."""
        self._parts.append((raw, usage))
        return b""

    def after(self, raw: bytes) -> bytes:
        """Hold what follows and says nothing; too much of it lets all go."""
        self._size += len(raw)
        self.add(raw)
        return self.release() if self._size > MOST else b""

    def release(self) -> bytes:
        """Let go what was held, for more came after it."""
        return self.with_costs(None)

    def with_costs(self, costs: Costs | None) -> bytes:
        """Let go what was held, with the costs in its usage."""
        parts, self._parts, self._size = self._parts, [], 0
        return b"".join(
            [splice(raw, usage, costs, self._key) if usage else raw for raw, usage in parts]
        )


def splice(raw: bytes, usage: bytes, costs: Costs | None, key: bytes = b"usage") -> bytes:
    """Put the cost members at the end of the usage object; every other byte stays."""
    if costs is None or not usage.endswith(b"}"):
        return raw
    # Quotes inside strings are escaped, so these bytes can only be a member.
    found = _member(key).finditer(raw)
    places = [m.end() + len(usage) - 1 for m in found if raw.startswith(usage, m.end())]
    if not places:
        return raw
    end = places[-1]
    if len(places) > 1:  # Groq states the same usage twice; ours is the outer one
        end = min(places, key=lambda place: _depth(raw[:place]))
    comma = b"," if usage[1:-1].strip() else b""
    return raw[:end] + comma + msgspec.json.encode(costs.members())[1:-1] + raw[end:]


@cache
def _member(key: bytes) -> re.Pattern[bytes]:
    """Return what finds a member of this name."""
    return re.compile(rb'"' + key + rb'"[ \t\r\n]*:[ \t\r\n]*')


def _depth(prefix: bytes) -> int:
    """Return how many objects are open at the end of `prefix`."""
    bare = STRING.sub(b"", prefix)
    return bare.count(b"{") - bare.count(b"}")
