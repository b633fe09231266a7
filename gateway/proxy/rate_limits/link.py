"""The connection to Valkey: one script, several organizations in one round trip, 20 ms at most."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hiredis
import msgspec
import redis.asyncio as redis
from redis.exceptions import NoScriptError, RedisError

SCRIPT = Path(__file__).with_name("count.lua").read_bytes()
SLOW = 0.015  # seconds after which an answer is late,
GRACE = 0.005  # and then to read one that came while this process was busy: 20 ms in all
REACH = 2.0  # seconds to connect in
TAKE = 1
AWAY = (RedisError, OSError, TimeoutError)  # what it looks like when Valkey is not to be had

Item = list[Any]  # a question of count.lua, with names in the place of keys


class Link:
    """One connection; asked by one task at a time."""

    def __init__(self, connection: Any, sha: bytes, times: tuple[int, int]) -> None:
        self._connection = connection
        self._sha = sha
        self._times = times

    @classmethod
    async def open(cls, url: str, *, minute_ms: int, lease_ms: int) -> "Link":
        """Connect, leave the script there and see that it answers in time; raises one of AWAY."""
        pool: Any = redis.ConnectionPool.from_url(url)  # untyped where it makes connections
        connection = pool.make_connection()
        try:
            async with asyncio.timeout(REACH):
                await connection.connect()
                await connection.send_command("SCRIPT", "LOAD", SCRIPT)
                sha = bytes(await connection.read_response())
            link = cls(connection, sha, (minute_ms, lease_ms))
            await link.ask([("", [])])
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return link

    async def close(self) -> None:
        """Hang up."""
        await self._connection.disconnect(nowait=True)

    async def ask(self, questions: Sequence[tuple[str, list[Item]]]) -> list[list[Any]]:
        """Ask what belongs to each organization, all at once; raises one of AWAY."""
        packed = [self._packed(organization, items) for organization, items in questions]
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            late = loop.call_later(SLOW, lambda: limit.reschedule(loop.time() + GRACE))
            try:
                answers = await self._said(packed)
                if any(isinstance(answer, NoScriptError) for answer in answers):
                    answers = await self._taught(packed, answers)
            finally:
                late.cancel()
        for answer in answers:
            if isinstance(answer, RedisError):
                raise answer
        return [msgspec.msgpack.decode(answer) for answer in answers]

    async def _taught(self, packed: list[bytes], answers: list[Any]) -> list[Any]:
        """Leave the script there again and repeat what went unanswered."""
        await self._connection.send_command("SCRIPT", "LOAD", SCRIPT)
        await self._connection.read_response()
        missed = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        again = iter(await self._said([packed[n] for n in missed]))
        return [next(again) if n in missed else answer for n, answer in enumerate(answers)]

    async def _said(self, packed: list[bytes]) -> list[Any]:
        """Write all questions, then read as many answers: all of them, errors too."""
        await self._connection.send_packed_command(b"".join(packed), check_health=False)
        answers: list[Any] = []
        for _ in packed:
            try:
                answers.append(await self._connection.read_response(disable_decoding=True))
            except redis.ResponseError as error:  # an answer too: the next one follows it
                answers.append(error)
        return answers

    def _packed(self, organization: str, items: list[Item]) -> bytes:
        keys = _Keys(organization)
        body = msgspec.msgpack.encode([*self._times, [list(keys.placed(one)) for one in items]])
        words: Any = (b"EVALSHA", self._sha, len(keys.names), *keys.names, body)
        return bytes(hiredis.pack_command(words))


class _Keys:
    """The keys of one organization's questions, each once: a window and streams per subject."""

    def __init__(self, organization: str) -> None:
        self.names: list[str] = []
        self._prefix = f"tollkeeper:limits:{{{organization}}}:"
        self._places: dict[str, int] = {}

    def placed(self, item: Item) -> Iterator[Any]:
        """Return a question with the places of its keys: they are in its last member."""
        yield from item[:-1]
        if item[0] <= TAKE + 1:
            yield [(self._place(one[0]), *one[1:]) for one in item[-1]]
        else:
            yield [self._place(name) for name in item[-1]]

    def _place(self, name: str) -> int:
        place = self._places.get(name)
        if place is None:
            key = self._prefix + name
            place = self._places[name] = len(self.names) + 1
            self.names += (key, f"{key}:streams")
        return place
