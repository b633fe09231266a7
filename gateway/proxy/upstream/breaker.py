"""The circuit breaker: an upstream that keeps failing is left alone for a while."""

import collections
import time

FAILURES = 5  # in a row
REST = 10.0  # seconds


class Breaker:
    """Counts the failures of one upstream. Times are of the monotonic clock."""

    __slots__ = ("_failures", "_open_until")

    def __init__(self) -> None:
        """Start closed: calls pass."""
        self._failures = 0
        self._open_until = 0.0

    def allows(self, now: float) -> bool:
        """Tell whether a call may be tried; after the rest one call probes, the others wait."""
        if self._failures < FAILURES:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + REST
        return True

    def is_open(self, now: float) -> bool:
        """Tell whether calls are refused now, without taking the probe."""
        return self._failures >= FAILURES and now < self._open_until

    def succeeded(self) -> None:
        """Close: the upstream answered."""
        self._failures = 0

    def failed(self, now: float) -> None:
        """Count a failure; the last one of a row opens."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._open_until = now + REST


class Breakers(collections.defaultdict[str, Breaker]):
    """The breakers of this process by upstream."""

    def __init__(self) -> None:
        """Make each at first use."""
        super().__init__(Breaker)

    def resting(self) -> list[str]:
        """Return the upstreams that are left alone now."""
        now = time.monotonic()
        return [name for name, breaker in self.items() if breaker.is_open(now)]
