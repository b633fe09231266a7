"""Tells readers of settled calls through Valkey; no call waits for it, and nobody listening costs nothing."""

import asyncio
import itertools
import logging
from collections import Counter, deque
from collections.abc import Callable

import msgspec

from gateway.live import events
from gateway.live.events import Event
from gateway.live.link import AWAY, Link, begin, end

logger = logging.getLogger(__name__)

ROOM = 2048  # events that wait; more are dropped and counted
MOST = 512  # events of one round trip
GATHER = 0.05  # seconds in which events gather for one
PAUSE = 1.0  # seconds before Valkey is tried again
RECENT = 64  # calls kept for a reader whose word is still on its way,
FRESH = 2.0  # and for how many seconds

Make = Callable[[], Event]


class Broadcast:
    """What one gateway process tells; one link listens for who reads, one publishes."""

    def __init__(self, url: str) -> None:
        """Nothing is told before `start`."""
        self._url = url
        self._listened: dict[str, float] = {}  # organization -> until when
        self._queue: deque[tuple[str, Make]] = deque()
        self._recent: deque[tuple[float, str, Make]] = deque(maxlen=RECENT)
        self._wake = asyncio.Event()
        self._missed: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._now = asyncio.get_running_loop().time
        self._is_away = False
        self.dropped = 0

    async def start(self) -> None:
        """Begin; Valkey may be away."""
        self._tasks = begin(self._listen(), self._carry())

    async def stop(self) -> None:
        """End; what was not told yet is lost."""
        await end(self._tasks)

    def tell(self, organization_id: str, make: Make) -> None:
        """Tell of a settled call. Waits for nothing; `make` runs only if somebody reads."""
        now = self._now()
        if self._listened.get(organization_id, 0.0) < now:
            self._recent.append((now, organization_id, make))
        elif len(self._queue) < ROOM:
            self._queue.append((organization_id, make))
            self._wake.set()
        else:
            self._miss(organization_id, 1)

    # -- who reads

    async def _listen(self) -> None:
        while True:
            try:
                await self._follow()
            except AWAY as error:
                self._say_away(error)
                await asyncio.sleep(PAUSE)

    async def _follow(self) -> None:
        """Hear whose events somebody reads; raises one of AWAY."""
        link = await Link.open(self._url)
        try:
            await link.tell([("SUBSCRIBE", events.LISTENED)])
            self._is_away = False
            while True:
                kind, _, said = await link.hear()
                if kind == b"message":
                    self._heard(said)
        finally:
            await link.close()

    def _heard(self, said: bytes) -> None:
        now = self._now()
        self._listened = {o: until for o, until in self._listened.items() if until > now}
        for organization_id in msgspec.json.decode(said, type=list[str]):
            if organization_id not in self._listened:
                self._begin(organization_id, now)
            self._listened[organization_id] = now + events.HEARD

    def _begin(self, organization_id: str, now: float) -> None:
        """Tell a new reader of the calls that were settled while its word was on its way."""
        self._missed.pop(organization_id, None)
        for at, owner, make in self._recent:
            if owner == organization_id and at > now - FRESH:
                self._queue.append((owner, make))
        if self._queue:
            self._wake.set()

    # -- what is told

    async def _carry(self) -> None:
        link: Link | None = None
        try:
            while True:
                await self._wake.wait()
                await asyncio.sleep(GATHER)
                batch = self._taken()
                try:
                    link = link or await Link.open(self._url)
                    await self._publish(link, batch)
                except AWAY as error:
                    await self._failed(batch, error, link)
                    link = None
        finally:
            if link is not None:
                await link.close()

    def _taken(self) -> list[tuple[str, Make]]:
        batch = list(itertools.islice(self._queue, MOST))
        for _ in batch:
            self._queue.popleft()
        if not self._queue:
            self._wake.clear()
        return batch

    async def _publish(self, link: Link, batch: list[tuple[str, Make]]) -> None:
        """Send the events of each organization as one message; raises one of AWAY."""
        groups: dict[str, list[Event]] = {}
        for organization_id, make in batch:
            groups.setdefault(organization_id, []).append(make())
        await link.ask(
            [
                ("PUBLISH", events.channel(o), events.encode(told, self._missed[o]))
                for o, told in groups.items()
            ]
        )
        for organization_id in groups:
            del self._missed[organization_id]

    async def _failed(
        self, batch: list[tuple[str, Make]], error: Exception, link: Link | None
    ) -> None:
        """Count what nobody will read, and try again a little later."""
        self._say_away(error)
        for organization_id, count in Counter(o for o, _ in batch).items():
            self._miss(organization_id, count)
        if link is not None:
            await link.close()
        await asyncio.sleep(PAUSE)

    def _say_away(self, error: Exception) -> None:
        """Log that Valkey is away, once."""
        if not self._is_away:
            logger.warning("live.away", extra={"error": repr(error)})
        self._is_away = True

    def _miss(self, organization_id: str, count: int) -> None:
        self.dropped += count
        self._missed[organization_id] += count
