"""One stream under way: passes on what its reader may hear, and looks again and again whether they still may."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from django.db import InterfaceError, OperationalError

from gateway.live.events import Event, Filters
from gateway.live.readers import Reader, RefusedError
from gateway.live.sockets import Way
from gateway.live.subscription import Feed

LOOK = 3.0  # seconds between two looks at whether somebody may still listen
BLIND = 30.0  # seconds that a stream goes on while nobody can look
BEAT = 15.0  # seconds of silence before a sign of life
DATABASE_AWAY = (OperationalError, InterfaceError)

Again = Callable[[], Awaitable[Reader]]


class Listener:
    """A reader, what they asked for, and the way to them."""

    def __init__(self, way: Way, reader: Reader, filters: Filters, again: Again) -> None:
        """`again` looks the reader up anew; it raises RefusedError once they may no longer listen."""
        self._way, self._reader, self._filters, self._again = way, reader, filters, again

    def wants(self, event: Event) -> bool:
        """Say whether the reader may hear of a call, and asked to."""
        return self._reader.may_hear(event) and self._filters.admits(event)

    async def run(self, feed: Feed, stopping: asyncio.Event) -> None:
        """Pass on events until the reader leaves, may no longer listen, or the server stops."""
        work = [
            asyncio.ensure_future(part)
            for part in (self._pass_on(feed), self._watch(), self._way.gone(), stopping.wait())
        ]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            ended = await asyncio.gather(*work, return_exceptions=True)
        if isinstance(ended[1], RefusedError):
            await self._way.end(ended[1].code, str(ended[1]))
        elif stopping.is_set():
            await self._way.end("stopping", "This server is stopping; another one may answer.")
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, RefusedError):
                raise error

    async def _pass_on(self, feed: Feed) -> None:
        is_interrupted = False
        while True:
            try:
                async with asyncio.timeout(BEAT):
                    missed, found = await feed.take()
            except TimeoutError:
                await self._way.beat()
                continue
            if feed.is_interrupted != is_interrupted:
                is_interrupted = feed.is_interrupted
                await self._tell("interrupted" if is_interrupted else "resumed")
            if missed:
                await self._tell("lagged", missed=missed)
            for event in found:
                marked = self._reader.mark(event)
                await self._way.say(msgspec.json.encode(marked), event.event)

    async def _tell(self, name: str, **facts: int) -> None:
        await self._way.say(msgspec.json.encode({"event": name, **facts}), name)

    async def _watch(self) -> None:
        """Look whether the reader may still listen; raises RefusedError when not."""
        now = asyncio.get_running_loop().time
        seen = now()
        while True:
            await asyncio.sleep(LOOK)
            try:
                reader = await self._again()
            except DATABASE_AWAY as error:
                if now() - seen > BLIND:
                    raise RefusedError("ledger_unavailable", "The books are away.") from error
                continue
            seen = now()
            if reader.organization_id != self._reader.organization_id:
                raise RefusedError("not_allowed", "You work in another organization now.")
            self._reader = reader
