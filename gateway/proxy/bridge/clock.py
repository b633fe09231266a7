"""The database's clock as a gateway carries it on."""

import time


class Clock:
    """The database's clock, carried on by the monotonic one between two heartbeats."""

    def __init__(self) -> None:
        """Start from this machine's clock until PostgreSQL was asked."""
        self._at = time.monotonic()
        self._ms = time.time() * 1000

    def set(self, now_ms: int, *, asked: float, answered: float) -> None:
        """Take the database's time, which it told between two instants of the monotonic clock."""
        self._ms, self._at = float(now_ms), (asked + answered) / 2

    def now_ms(self) -> int:
        """Return milliseconds since 1970."""
        return int(self._ms + (time.monotonic() - self._at) * 1000)
