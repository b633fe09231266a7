"""Rate limits of one gateway process: counted in Valkey with all others, or here while it is away."""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.proxy.rate_limits.link import AWAY, Item, Link
from gateway.proxy.rate_limits.local import SLICES, Local
from gateway.proxy.rate_limits.verdict import Subject, Verdict

logger = logging.getLogger(__name__)

MINUTE = 60.0  # seconds that a limit is for
LEASE = 60.0  # seconds for which the streams of a dead process stay counted
PAUSE = 2.0  # seconds before Valkey is tried again
IDLE = 0.1  # seconds that news may wait for a question to travel with
MOST = 256  # questions of one round trip
TAKE, SETTLE, END, RENEW = 1, 2, 3, 4  # as in count.lua


@dataclass(slots=True)
class _Question:
    """What waits for the next round trip; somebody waits for the answer to a take."""

    verdict: Verdict
    item: Item
    answer: "asyncio.Future[None] | None" = None


class RateLimits:
    """One connection and one round trip at a time, with all that was asked meanwhile.

    In no 60 seconds are more requests or reserved tokens granted to a subject than its limit, by
    all processes together. What is counted leaves after 60 to 62 seconds; a refused call counts
    nothing. While Valkey is away, or slower than 20 ms, each process counts alone, beginning
    with nothing but its own streams.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        minute: float = MINUTE,
        lease: float = LEASE,
    ) -> None:
        """Nothing is asked before `start`; tests have shorter minutes and leases."""
        self._width = max(1, round(minute * 1000 / SLICES))
        self._lease = lease
        self._url = url
        self._local = Local(clock, self._width)
        self._link: Link | None = None
        self._is_missed = False
        self._queue: list[_Question] = []
        self._wake = asyncio.Event()
        self._soon: asyncio.TimerHandle | None = None
        self._streams: dict[str, Verdict] = {}
        mark = os.urandom(6).hex()
        self._leases = (f"{mark}.{n}" for n in itertools.count())
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_shared(self) -> bool:
        """Say whether all processes count together."""
        return self._link is not None

    async def start(self) -> None:
        """Reach Valkey if it is there; go on trying if it is not."""
        await self._reach()
        self._tasks = [asyncio.ensure_future(self._run()), asyncio.ensure_future(self._renew())]

    async def stop(self) -> None:
        """Tell Valkey what has ended and hang up."""
        for task in self._tasks:
            task.cancel()
        if self._soon is not None:
            self._soon.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._queue and self._link:
            await self._carry(self._link, self._take_queue())
        await self._leave()

    async def take(
        self, organization: str, subjects: Sequence[Subject], *, tokens: int, is_stream: bool
    ) -> Verdict:
        """Count a call of at most `tokens` against all limits of all subjects, or against none.

        A call that alone may pass a limit of tokens takes a whole empty minute of it.
        """
        lease = next(self._leases) if is_stream else ""
        limited = tuple(one for one in subjects if one[1:] != (None, None, None))
        verdict = Verdict(organization, limited, tokens, lease, self.is_shared)
        if limited:
            await self._decide(verdict)
        if lease and limited and verdict.is_allowed:
            self._streams[lease] = verdict
            self._local.begin(verdict)
        return verdict

    def settle(self, verdict: Verdict, tokens: int) -> None:
        """Replace the reserved tokens of an allowed call by those it used. Waits for nothing."""
        if not verdict.is_shared:
            self._local.settle(verdict, tokens)
            return
        differences = [
            (subject.name, tokens - subject.reserved(verdict.tokens))
            for subject in verdict.subjects
            if subject.tokens is not None
        ]
        if differences:
            self._tell(verdict, [SETTLE, verdict.counts[2], differences])

    def end(self, verdict: Verdict) -> None:
        """End the stream of a call, if it was one; twice is as good as once. Waits for nothing."""
        if self._streams.pop(verdict.lease, None):
            self._local.end(verdict)
            self._tell(verdict, [END, verdict.lease, _names(verdict)])

    async def _decide(self, verdict: Verdict) -> None:
        if self._link is None:
            verdict.counts = self._local.take(verdict)
            return
        limits = [[-1 if one is None else one for one in subject] for subject in verdict.subjects]
        answer = asyncio.get_running_loop().create_future()
        self._queue.append(
            _Question(verdict, [TAKE, verdict.tokens, verdict.lease, limits], answer)
        )
        self._wake.set()
        await answer

    def _tell(self, verdict: Verdict, item: Item) -> None:
        """Send with the next question, or soon; while Valkey is away there is nothing to tell."""
        if self._link is None:
            return
        self._queue.append(_Question(verdict, item))
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(IDLE, self._send)

    def _send(self) -> None:
        self._soon = None
        if self._queue:
            self._wake.set()

    async def _run(self) -> None:
        while True:
            if self._link is None:
                await asyncio.sleep(PAUSE)
                await self._reach()
                continue
            await self._wake.wait()
            batch, self._queue = self._queue[:MOST], self._queue[MOST:]
            if not self._queue:
                self._wake.clear()
            try:
                await self._carry(self._link, batch)
            except asyncio.CancelledError:
                self._decide_alone(batch)
                raise

    async def _carry(self, link: Link, batch: list[_Question]) -> None:
        """Ask one batch and give everybody the answer."""
        groups: dict[str, list[_Question]] = {}
        for question in batch:
            groups.setdefault(question.verdict.organization, []).append(question)
        try:
            answers = await link.ask([(o, [q.item for q in asked]) for o, asked in groups.items()])
        except AWAY as error:
            await self._leave(error)
            self._decide_alone([*batch, *self._take_queue()])
            return
        for asked, said in zip(groups.values(), answers, strict=True):
            for question, answer in zip(asked, said, strict=True):
                self._answer(question, answer)

    def _answer(self, question: _Question, counts: Any) -> None:
        if question.answer is None:
            return
        question.verdict.counts = counts
        if not question.answer.done():
            question.answer.set_result(None)
        elif question.verdict.is_allowed:  # whoever asked has left: give back what nobody uses
            self.settle(question.verdict, 0)
            if question.verdict.lease:
                names = _names(question.verdict)
                self._tell(question.verdict, [END, question.verdict.lease, names])

    def _decide_alone(self, questions: list[_Question]) -> None:
        for question in questions:
            if question.answer is not None and not question.answer.done():
                question.verdict.is_shared = False
                question.verdict.counts = self._local.take(question.verdict)
                question.answer.set_result(None)

    def _take_queue(self) -> list[_Question]:
        queue, self._queue = self._queue, []
        self._wake.clear()
        return queue

    async def _renew(self) -> None:
        """Keep the leases of the streams that go on."""
        while True:
            await asyncio.sleep(self._lease / 3)
            for lease, verdict in self._streams.items():
                self._tell(verdict, [RENEW, lease, _names(verdict)])

    async def _reach(self) -> None:
        times = {"minute_ms": self._width * SLICES, "lease_ms": round(self._lease * 1000)}
        try:
            self._link = await Link.open(self._url, **times)
        except AWAY as error:
            self._miss(error)
            return
        self._is_missed = False
        self._local.clear()
        logger.info("rate_limits.shared")

    async def _leave(self, error: Exception | None = None) -> None:
        link, self._link = self._link, None
        if error is not None:
            self._miss(error)
        if link is not None:
            await link.close()

    def _miss(self, error: Exception) -> None:
        """Say once that Valkey is away, not at every try to reach it."""
        if not self._is_missed:
            logger.warning("rate_limits.away", extra={"error": repr(error)})
        self._is_missed = True


def _names(verdict: Verdict) -> list[str]:
    return [subject.name for subject in verdict.subjects if subject.streams is not None]
