"""What is limited, and whether a call may go on: the words of rate limits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

EXCEEDED = ("", "requests", "tokens", "streams")
FREE = (0, 0, 0, -1, -1, -1, -1, -1, -1, 0)  # no limit was asked for

# exceeded, wait in ms, slice, then limit, left and reset in ms of requests and of tokens, then whose
# limit is exceeded: the place of the subject from 1
Counts = Sequence[int]


class Subject(NamedTuple):
    """An API key, cost center or organization and its limits; None is no limit."""

    name: str  # kind:id
    requests: int | None = None  # per minute
    tokens: int | None = None  # per minute
    streams: int | None = None  # at the same time

    def reserved(self, tokens: int) -> int:
        """Return what a call of at most `tokens` reserves; one alone may need a whole minute."""
        return 0 if self.tokens is None else min(tokens, self.tokens)


@dataclass(slots=True)
class Verdict:
    """Whether a call may go on; an allowed one is handed back by `settle` and `end`."""

    organization: str
    subjects: tuple[Subject, ...]
    tokens: int
    lease: str  # of its stream
    is_shared: bool  # counted in Valkey
    counts: Counts = FREE

    @property
    def is_allowed(self) -> bool:
        """Say whether no limit is exceeded."""
        return self.counts[0] == 0

    @property
    def exceeded(self) -> str:
        """Name what there was too much of: requests, tokens or streams."""
        return EXCEEDED[self.counts[0]]

    @property
    def refuser(self) -> Subject:
        """Return whose limit is exceeded."""
        return self.subjects[self.counts[9] - 1]

    @property
    def retry_after(self) -> int:
        """Return the whole seconds after which the same call fits, if nobody else comes."""
        return max(1, math.ceil(self.counts[1] / 1000))

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return limit, remaining and reset of what is tightest for requests and for tokens."""
        found: list[tuple[bytes, bytes]] = []
        for what, (limit, left, reset) in (
            (b"requests", self.counts[3:6]),
            (b"tokens", self.counts[6:9]),
        ):
            if limit >= 0:
                found += [
                    (b"x-ratelimit-limit-" + what, b"%d" % limit),
                    (b"x-ratelimit-remaining-" + what, b"%d" % left),
                    (b"x-ratelimit-reset-" + what, _duration(reset)),
                ]
        return found


def _duration(milliseconds: int) -> bytes:
    """Write a duration as providers do: 250ms, 42s."""
    return b"%dms" % milliseconds if milliseconds < 1000 else b"%ds" % -(-milliseconds // 1000)
