"""What one web process hears over Valkey, handed to its readers; a slow one loses events, never waits for others."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

import msgspec

from gateway.live import events
from gateway.live.events import Event
from gateway.live.link import AWAY, Link, begin, end

logger = logging.getLogger(__name__)

ROOM = 256  # events that wait for a slow reader; then the oldest are left out
PAUSE = 1.0  # seconds before Valkey is tried again
PATIENCE = 4.0  # seconds that a new reader waits for Valkey


class AwayError(Exception):
    """Valkey is away, so nothing can be heard now."""

    code = "stream_unavailable"


class Feed:
    """What waits for one reader."""

    def __init__(self, wants: Callable[[Event], bool]) -> None:
        """Start empty; only what `wants` admits ever waits."""
        self._wants = wants
        self._waiting: deque[Event] = deque()
        self._missed = 0
        self._some = asyncio.Event()
        self.is_interrupted = False  # events are lost without anybody counting them

    def offer(self, event: Event) -> None:
        """Let an event wait; the oldest goes when there is no room."""
        if not self._wants(event):
            return
        if len(self._waiting) >= ROOM:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._some.set()

    def miss(self, count: int) -> None:
        """Note events that never came here."""
        self._missed += count
        self._some.set()

    def interrupt(self, *, is_interrupted: bool) -> None:
        """Note that Valkey is away, or back."""
        self.is_interrupted = is_interrupted
        self._some.set()

    async def take(self) -> tuple[int, list[Event]]:
        """Wait for something; return how many were missed before it, and what came."""
        await self._some.wait()
        self._some.clear()
        found = self._missed, list(self._waiting)
        self._missed = 0
        self._waiting.clear()
        return found


class Subscription:
    """One link that listens for all readers of a process, and one to tell gateways of them."""

    def __init__(self, url: str) -> None:
        """Nothing is heard before `start`."""
        self._url = url
        self._feeds: dict[str, set[Feed]] = {}
        self._open: dict[str, asyncio.Event] = {}  # organization -> Valkey has confirmed
        self._is_away = False
        self._link: Link | None = None
        self._voice: Link | None = None
        self._speaking = asyncio.Lock()
        self._needed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return sum(map(len, self._feeds.values()))

    def readers_of(self, organization_id: str) -> int:
        """Return how many readers an organization has here."""
        return len(self._feeds.get(organization_id, ()))

    async def start(self) -> None:
        """Begin; Valkey is not asked for anything before there is a reader."""
        self._tasks = begin(self._listen(), self._repeat())

    async def stop(self) -> None:
        """Hang up."""
        await end(self._tasks)
        if self._voice is not None:
            await self._voice.close()

    async def join(self, organization_id: str, wants: Callable[[Event], bool]) -> Feed:
        """Add a reader and return once it misses nothing more; raises AwayError."""
        feed = Feed(wants)
        is_new = organization_id not in self._feeds
        self._feeds.setdefault(organization_id, set()).add(feed)
        confirmed = self._open.setdefault(organization_id, asyncio.Event())
        self._needed.set()
        try:
            async with asyncio.timeout(PATIENCE):
                if is_new and self._link is not None:
                    await self._link.tell([("SUBSCRIBE", events.channel(organization_id))])
                await confirmed.wait()
                await self._say([organization_id])
        except AWAY as error:
            await self.leave(organization_id, feed)
            raise AwayError("Nothing can be heard now; try again shortly.") from error
        except BaseException:
            await self.leave(organization_id, feed)
            raise
        return feed

    async def leave(self, organization_id: str, feed: Feed) -> None:
        """Remove a reader."""
        feeds = self._feeds[organization_id]
        feeds.discard(feed)
        if feeds:
            return
        del self._feeds[organization_id], self._open[organization_id]
        if not self._feeds:
            self._needed.clear()
        if self._link is not None:
            with contextlib.suppress(*AWAY):  # a dead link knows no channel any more
                await self._link.tell([("UNSUBSCRIBE", events.channel(organization_id))])

    # -- what is heard

    async def _listen(self) -> None:
        while True:
            await self._needed.wait()
            try:
                await self._follow()
            except AWAY as error:
                if not self._is_away:
                    logger.warning("live.away", extra={"error": repr(error)})
                self._is_away = True
                self._interrupt()
                await asyncio.sleep(PAUSE)

    async def _follow(self) -> None:
        """Subscribe to every channel that has readers and hand out what is heard; raises one of AWAY."""
        self._link = link = await Link.open(self._url)
        try:
            if self._feeds:
                await link.tell([("SUBSCRIBE", *map(events.channel, self._feeds))])
            while True:
                kind, name, said = await link.hear()
                organization_id = events.organization(name)
                if kind == b"subscribe":
                    self._is_away = False
                    self._confirm(organization_id)
                elif kind == b"message":
                    self._hand_out(organization_id, said)
        finally:
            self._link = None
            await link.close()

    def _confirm(self, organization_id: str) -> None:
        if organization_id in self._open:
            self._open[organization_id].set()
        for feed in self._feeds.get(organization_id, ()):
            if feed.is_interrupted:
                feed.interrupt(is_interrupted=False)

    def _interrupt(self) -> None:
        for confirmed in self._open.values():
            confirmed.clear()
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.interrupt(is_interrupted=True)

    def _hand_out(self, organization_id: str, said: bytes) -> None:
        try:
            batch = events.decode(said)
        except msgspec.DecodeError as error:
            logger.warning("live.unreadable", extra={"error": repr(error)})
            return
        for feed in self._feeds.get(organization_id, ()):
            if batch.missed:
                feed.miss(batch.missed)
            for event in batch.events:
                feed.offer(event)

    # -- what gateways are told

    async def _repeat(self) -> None:
        """Tell gateways every few seconds whose events somebody reads."""
        while True:
            await self._needed.wait()
            try:
                await self._say(list(self._feeds))
            except AWAY:
                logger.debug("live.unsaid")  # said again in a moment; `_listen` tells of the outage
            await asyncio.sleep(events.REPEAT)

    async def _say(self, organization_ids: list[str]) -> None:
        """Tell gateways whose events somebody reads; raises one of AWAY."""
        async with self._speaking:
            voice, self._voice = self._voice or await Link.open(self._url), None
            try:
                said = msgspec.json.encode(organization_ids)
                await voice.ask([("PUBLISH", events.LISTENED, said)])
            except BaseException:
                await voice.close()
                raise
            self._voice = voice
