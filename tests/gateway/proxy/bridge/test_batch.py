"""Batches form by themselves, isolate what is bad, and give back what nobody waits for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import psycopg
import pytest

from gateway.proxy.bridge.batch import Answer, BadItemError, Batcher, Hooks, Item
from gateway.proxy.bridge.pool import LedgerUnavailableError

# Stands for a money function: one answer per item; a bad item fails its whole batch.
SQL = """
SELECT x ->> 'id', 'granted', jsonb_build_object('size', jsonb_array_length(q.p),
       'number', (x ->> 'number')::int, 'slept', pg_sleep((x ->> 'sleep')::float)::text)
  FROM (SELECT %s::jsonb AS p) q, jsonb_array_elements(q.p) x"""


# Meets a deadlock the first time that it is asked.
CROSSED = """
SELECT x ->> 'id', crossed_once((x ->> 'number')::int), '{}'::jsonb FROM jsonb_array_elements(%s::jsonb) x"""


class Thing(msgspec.Struct):
    id: str
    number: str = "1"
    sleep: str = "0"


@dataclass
class Seen:
    batches: list[list[str]] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)

    def on_batch(self, items: Sequence[Item]) -> None:
        self.batches.append([item.id for item in items])

    def give_back(self, item: Item) -> None:
        self.returned.append(item.id)


def nothing(items: Any) -> None:
    """Do nothing."""


@contextlib.asynccontextmanager
async def batching(
    dsn: str, *, room: float = 100, sql: str = SQL
) -> AsyncIterator[tuple[Batcher, Seen]]:
    seen = Seen()
    hooks = Hooks(wrap=list, on_batch=seen.on_batch, on_done=nothing, give_back=seen.give_back)
    batcher = Batcher(dsn, sql, hooks, room=room)
    task = asyncio.create_task(batcher.run())
    try:
        yield batcher, seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_queues_while_one_travels_goes_together(gateway_dsn: str) -> None:
    async with batching(gateway_dsn) as (batcher, seen):
        first = asyncio.create_task(batcher.submit(Thing("0", sleep="0.2"), 5))
        await asyncio.sleep(0.1)
        rest = [asyncio.create_task(batcher.submit(Thing(str(n)), 5)) for n in range(1, 20)]
        answers: list[Answer] = await asyncio.gather(first, *rest)

    assert [len(batch) for batch in seen.batches] == [1, 19]
    assert [answer[1]["size"] for answer in answers] == [1, *[19] * 19]


async def test_a_bad_item_fails_alone(gateway_dsn: str) -> None:
    async with batching(gateway_dsn) as (batcher, _):
        first = asyncio.create_task(batcher.submit(Thing("0", sleep="0.1"), 5))
        await asyncio.sleep(0.02)
        things = [Thing(str(n), number="x" if n == 5 else "1") for n in range(1, 12)]
        tasks = [asyncio.create_task(batcher.submit(thing, 5)) for thing in things]
        answers = await asyncio.gather(first, *tasks, return_exceptions=True)

    assert [type(answer) for answer in answers].count(tuple) == 11
    assert isinstance(answers[5], BadItemError)


async def test_a_deadlock_is_asked_again_and_is_no_lost_ledger(
    owner_dsn: str, gateway_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("CREATE SEQUENCE crossings")
        owner.execute("GRANT USAGE ON SEQUENCE crossings TO PUBLIC")
        owner.execute(
            "CREATE FUNCTION crossed_once(n int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
            " IF nextval('crossings') = 1 THEN RAISE EXCEPTION USING ERRCODE = '40P01'; END IF;"
            " RETURN 'granted'; END $$"
        )
        try:
            async with batching(gateway_dsn, sql=CROSSED) as (batcher, _):
                told = await batcher.submit(Thing("0"), 5)
        finally:
            owner.execute("DROP FUNCTION crossed_once; DROP SEQUENCE crossings")

    assert told[0] == "granted"
    assert "ledger.away" not in caplog.messages


async def test_an_answer_that_comes_too_late_is_given_back(gateway_dsn: str) -> None:
    async with batching(gateway_dsn) as (batcher, seen):
        with pytest.raises(TimeoutError):
            await batcher.submit(Thing("late", sleep="0.3"), 0.05)
        await batcher.idle.wait()

    assert seen.returned == ["late"]


async def test_an_answer_for_a_cancelled_caller_is_given_back(gateway_dsn: str) -> None:
    async with batching(gateway_dsn) as (batcher, seen):
        task = asyncio.create_task(batcher.submit(Thing("gone", sleep="0.2"), 5))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await batcher.idle.wait()

    assert seen.returned == ["gone"]


async def test_an_item_whose_caller_left_in_the_queue_is_never_asked(gateway_dsn: str) -> None:
    async with batching(gateway_dsn) as (batcher, seen):
        first = asyncio.create_task(batcher.submit(Thing("0", sleep="0.2"), 5))
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError):
            await batcher.submit(Thing("left"), 0.01)
        await first
        await batcher.idle.wait()

    assert seen.batches == [["0"]]
    assert seen.returned == []


async def test_a_full_queue_refuses_at_once(gateway_dsn: str) -> None:
    async with batching(gateway_dsn, room=1) as (batcher, _):
        batcher.put(Thing("1"))
        with pytest.raises(LedgerUnavailableError):
            batcher.put(Thing("2"))
        await batcher.idle.wait()
