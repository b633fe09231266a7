"""The same limits counted within one process, for as long as Valkey is away."""

import math
from collections import Counter
from collections.abc import Callable, Iterator

from gateway.proxy.rate_limits.verdict import FREE, Counts, Subject, Verdict

SLICES = 30  # of a minute, as in count.lua
STREAM_WAIT = 1000  # milliseconds after which a stream may have ended
REQUESTS, TOKENS, STREAMS = 1, 2, 3

Place = tuple[str, str]  # organization, subject


class Local:
    """Sliding windows of subjects, by the rules of count.lua; streams are counted at all times."""

    def __init__(self, clock: Callable[[], float], width: int) -> None:
        """`width` is the length of a slice in milliseconds."""
        self._clock = clock
        self._width = width
        self._windows: dict[Place, dict[int, list[int]]] = {}  # slice -> requests, tokens
        self._streams: Counter[Place] = Counter()

    def clear(self) -> None:
        """Forget the windows: Valkey counts again."""
        self._windows.clear()

    def take(self, verdict: Verdict) -> Counts:
        """Count a call against all limits or none; answer as the script does."""
        now = int(self._clock() * 1000)
        slice_ = now // self._width
        windows = [self._window(verdict, subject, slice_) for subject in verdict.subjects]
        pairs = zip(verdict.subjects, windows, strict=True)
        found = [
            (*problem, place)
            for place, (subject, window) in enumerate(pairs, start=1)
            for problem in self._problems(verdict, subject, window, now)
        ]
        wait, exceeded, who = max(found, default=(0, 0, 0))
        if not exceeded:
            for subject, window in zip(verdict.subjects, windows, strict=True):
                here = window.setdefault(slice_, [0, 0])
                here[0] += 1
                here[1] += subject.reserved(verdict.tokens)
        answer = [exceeded, wait, slice_, *FREE[3:-1], who]
        for subject, window in zip(verdict.subjects, windows, strict=True):
            for which, limit in enumerate((subject.requests, subject.tokens)):
                self._tighten(answer, which, limit, window, now)
        return answer

    def settle(self, verdict: Verdict, tokens: int) -> None:
        """Replace reserved tokens by used ones, in the slice that reserved them."""
        for subject in verdict.subjects:
            window = self._windows.get((verdict.organization, subject.name), {})
            here = window.get(verdict.counts[2])
            if here and subject.tokens is not None:
                here[1] = max(0, here[1] + tokens - subject.reserved(verdict.tokens))

    def begin(self, verdict: Verdict) -> None:
        """Count a stream of this process."""
        self._streams.update(_places(verdict))

    def end(self, verdict: Verdict) -> None:
        """Count a stream of this process no longer."""
        for place in _places(verdict):
            self._streams[place] -= 1
            if self._streams[place] <= 0:
                del self._streams[place]

    def _window(self, verdict: Verdict, subject: Subject, slice_: int) -> dict[int, list[int]]:
        window = self._windows.setdefault((verdict.organization, subject.name), {})
        for old in [one for one in window if one < slice_ - SLICES]:
            del window[old]
        return window

    def _problems(
        self, verdict: Verdict, subject: Subject, window: dict[int, list[int]], now: int
    ) -> Iterator[tuple[int, int]]:
        """Return how long to wait for what."""
        wanted = (1, subject.reserved(verdict.tokens))
        for which, limit in enumerate((subject.requests, subject.tokens)):
            if limit is not None:
                excess = sum(one[which] for one in window.values()) + wanted[which] - limit
                if excess > 0:
                    yield self._wait(window, which, excess, now), which + REQUESTS
        streams = self._streams[verdict.organization, subject.name]
        if verdict.lease and subject.streams is not None and streams >= subject.streams:
            yield STREAM_WAIT, STREAMS

    def _wait(self, window: dict[int, list[int]], which: int, excess: int, now: int) -> int:
        for slice_, counts in sorted(window.items()):
            excess -= counts[which]
            if excess <= 0:
                return self._leaves(slice_, now)
        return self._leaves(now // self._width, now)

    def _tighten(
        self,
        answer: list[int],
        which: int,
        limit: int | None,
        window: dict[int, list[int]],
        now: int,
    ) -> None:
        """Let the answer show the subject that has least left."""
        if limit is None:
            return
        at = 3 + 3 * which
        used = sum(one[which] for one in window.values())
        left = max(0, limit - used)
        if answer[at] < 0 or left < answer[at + 1]:
            reset = self._leaves(max(window, default=0), now) if used else 0
            answer[at : at + 3] = [limit, left, reset]

    def _leaves(self, slice_: int, now: int) -> int:
        return max(0, math.ceil((slice_ + SLICES + 1) * self._width - now))


def _places(verdict: Verdict) -> list[Place]:
    return [(verdict.organization, subject.name) for subject in verdict.subjects]
