"""Limits on the real Valkey: shared exactly, and kept by each process while it is away."""

import asyncio
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis

from config.embedded import EmbeddedServers
from gateway.proxy.rate_limits import limits as module
from gateway.proxy.rate_limits import link
from gateway.proxy.rate_limits.limits import RateLimits
from gateway.proxy.rate_limits.verdict import Subject, Verdict

SHORT = 3.0  # seconds: a "minute" of tests that wait for its end


@pytest.fixture
def organization() -> str:
    return str(uuid.uuid4())


@pytest.fixture
async def limits(redis_url: str) -> AsyncIterator[RateLimits]:
    one = RateLimits(redis_url)
    await one.start()
    assert one.is_shared
    yield one
    await one.stop()


async def take(
    limits: RateLimits, organization: str, *subjects: Subject, tokens: int = 0, stream: bool = False
) -> Verdict:
    return await limits.take(organization, subjects, tokens=tokens, is_stream=stream)


async def shared_again(limits: RateLimits) -> None:
    for _ in range(200):
        if limits.is_shared:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("Valkey was not found again")


async def test_as_many_requests_pass_as_the_limit_says(
    limits: RateLimits, organization: str
) -> None:
    key = Subject("key:1", requests=5)

    verdicts = [await take(limits, organization, key) for _ in range(7)]

    assert [verdict.is_allowed for verdict in verdicts] == [True] * 5 + [False] * 2
    refused = verdicts[-1]
    assert refused.exceeded == "requests"
    assert 1 <= refused.retry_after <= 62
    headers = dict(refused.headers())
    assert headers[b"x-ratelimit-limit-requests"] == b"5"
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert headers[b"x-ratelimit-reset-requests"].endswith(b"s")
    assert b"x-ratelimit-limit-tokens" not in headers


async def test_a_call_without_limits_asks_nobody(limits: RateLimits, organization: str) -> None:
    verdict = await take(limits, organization, Subject("key:1"), tokens=5, stream=True)

    assert (verdict.is_allowed, verdict.headers()) == (True, [])


async def test_a_call_that_one_subject_refuses_counts_with_none(
    limits: RateLimits, organization: str
) -> None:
    wide, narrow = Subject("organization:1", requests=3), Subject("key:1", requests=1)

    first = await take(limits, organization, wide, narrow)
    refused = [await take(limits, organization, wide, narrow) for _ in range(5)]
    other = await take(limits, organization, wide, Subject("key:2", requests=9))

    assert (first.is_allowed, {one.is_allowed for one in refused}) == (True, {False})
    assert other.is_allowed
    assert dict(other.headers())[b"x-ratelimit-remaining-requests"] == b"1"  # of the organization


async def test_organizations_do_not_share_a_limit(limits: RateLimits) -> None:
    key = Subject("key:1", requests=1)

    verdicts = [await take(limits, str(uuid.uuid4()), key) for _ in range(3)]

    assert all(verdict.is_allowed for verdict in verdicts)


async def test_unused_tokens_come_back_at_once(limits: RateLimits, organization: str) -> None:
    key = Subject("key:1", tokens=100)

    first = await take(limits, organization, key, tokens=90)
    refused = await take(limits, organization, key, tokens=90)
    limits.settle(first, 10)
    second = await take(limits, organization, key, tokens=90)

    assert (first.is_allowed, refused.is_allowed, second.is_allowed) == (True, False, True)
    assert refused.exceeded == "tokens"
    assert dict(second.headers())[b"x-ratelimit-remaining-tokens"] == b"0"


async def test_more_tokens_than_reserved_count_too(limits: RateLimits, organization: str) -> None:
    key = Subject("key:1", tokens=100)

    limits.settle(await take(limits, organization, key, tokens=10), 95)

    assert not (await take(limits, organization, key, tokens=10)).is_allowed


async def test_a_call_larger_than_the_limit_takes_an_empty_minute(
    limits: RateLimits, organization: str
) -> None:
    key = Subject("key:1", tokens=100)

    huge = await take(limits, organization, key, tokens=5_000)
    after = await take(limits, organization, key, tokens=1)

    assert (huge.is_allowed, after.is_allowed) == (True, False)


async def test_only_so_many_streams_are_open_at_a_time(
    limits: RateLimits, organization: str
) -> None:
    key = Subject("key:1", streams=2)

    first, second, third = [await take(limits, organization, key, stream=True) for _ in range(3)]
    unary = await take(limits, organization, key)
    limits.end(first)
    limits.end(first)
    fourth = await take(limits, organization, key, stream=True)
    fifth = await take(limits, organization, key, stream=True)

    assert (second.is_allowed, third.is_allowed, unary.is_allowed) == (True, False, True)
    assert (third.exceeded, third.retry_after) == ("streams", 1)
    assert (fourth.is_allowed, fifth.is_allowed) == (True, False)


async def test_streams_of_a_dead_process_run_out_and_living_ones_are_renewed(
    redis_url: str, organization: str
) -> None:
    key = Subject("key:1", streams=2)
    dying, living = RateLimits(redis_url, lease=0.6), RateLimits(redis_url, lease=0.6)
    for one in (dying, living):
        await one.start()
        assert (await take(one, organization, key, stream=True)).is_allowed
    full = await take(living, organization, key, stream=True)

    await dying.stop()  # it never ended its stream
    await asyncio.sleep(1.0)
    after = [await take(living, organization, key, stream=True) for _ in range(2)]
    await living.stop()

    assert not full.is_allowed
    assert [verdict.is_allowed for verdict in after] == [True, False]


async def test_what_is_counted_leaves_after_a_minute(redis_url: str, organization: str) -> None:
    one = RateLimits(redis_url, minute=SHORT)
    await one.start()
    key = Subject("key:1", requests=4, tokens=100)
    began = time.monotonic()
    for pause in (0.5, 0.5, 0, 0):
        assert (await take(one, organization, key, tokens=10)).is_allowed
        await asyncio.sleep(pause)
    refused = await take(one, organization, key, tokens=10)

    await asyncio.sleep(refused.counts[1] / 1000)
    second = await take(one, organization, key, tokens=10)
    waited = time.monotonic() - began
    third = await take(one, organization, key, tokens=10)
    await asyncio.sleep(SHORT * 1.1)
    empty = await take(one, organization, key, tokens=10)
    await one.stop()

    assert (refused.is_allowed, second.is_allowed, third.is_allowed) == (False, True, False)
    assert waited >= SHORT
    assert dict(empty.headers())[b"x-ratelimit-remaining-requests"] == b"3"
    assert dict(empty.headers())[b"x-ratelimit-remaining-tokens"] == b"90"


async def test_calls_asked_together_are_counted_one_by_one(
    limits: RateLimits, organization: str
) -> None:
    key = Subject("key:1", requests=50, tokens=10_000)

    verdicts = await asyncio.gather(
        *(take(limits, organization, key, tokens=10) for _ in range(300))
    )

    assert sum(verdict.is_allowed for verdict in verdicts) == 50


async def test_a_caller_who_leaves_takes_nothing_with_him(
    limits: RateLimits, organization: str
) -> None:
    key = Subject("key:1", tokens=100, streams=1)
    task = asyncio.create_task(take(limits, organization, key, tokens=100, stream=True))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.05)

    assert (await take(limits, organization, key, tokens=100, stream=True)).is_allowed


async def test_a_forgotten_script_is_left_there_again(
    limits: RateLimits, organization: str, redis_url: str
) -> None:
    key = Subject("key:1", requests=2)
    await take(limits, organization, key)
    async with redis.Redis.from_url(redis_url) as client:
        await client.script_flush()

    verdicts = [await take(limits, organization, key) for _ in range(2)]

    assert [verdict.is_allowed for verdict in verdicts] == [True, False]
    assert limits.is_shared


async def test_a_flushed_valkey_forgets_and_counts_on(
    own_valkey: EmbeddedServers, organization: str
) -> None:
    url = own_valkey.environment()["REDIS_URL"]
    one = RateLimits(url)
    await one.start()
    key = Subject("key:1", requests=1, tokens=100)
    first = await take(one, organization, key, tokens=50)
    async with redis.Redis.from_url(url) as client:
        await client.flushall()

    one.settle(first, 1)
    verdicts = [await take(one, organization, key, tokens=50) for _ in range(2)]
    await one.stop()

    assert [verdict.is_allowed for verdict in verdicts] == [True, False]
    assert dict(verdicts[0].headers())[b"x-ratelimit-remaining-tokens"] == b"50"


async def test_without_valkey_a_process_counts_for_itself(
    own_valkey: EmbeddedServers, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.1)
    one = RateLimits(own_valkey.environment()["REDIS_URL"])
    await one.start()
    key = Subject("key:1", requests=3, tokens=100, streams=1)
    stream = await take(one, organization, key, tokens=10, stream=True)
    own_valkey.stop()

    verdicts = [await take(one, organization, key, tokens=10) for _ in range(4)]
    full = await take(one, organization, Subject("key:1", streams=1), stream=True)
    is_shared = one.is_shared
    one.end(stream)
    room = await take(one, organization, Subject("key:1", streams=1), stream=True)
    own_valkey.start()
    await shared_again(one)
    again = await take(one, organization, key, tokens=10)
    await one.stop()

    assert [verdict.is_allowed for verdict in verdicts] == [True, True, True, False]
    assert b"x-ratelimit-remaining-requests" in dict(verdicts[-1].headers())
    assert (full.exceeded, room.is_allowed) == ("streams", True)
    assert (is_shared, again.is_allowed) == (False, True)


async def test_a_slow_valkey_delays_one_batch_and_then_nobody(
    own_valkey: EmbeddedServers, organization: str
) -> None:
    one = RateLimits(own_valkey.environment()["REDIS_URL"])
    await one.start()
    key = Subject("key:1", requests=30)
    pid = own_valkey.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        verdicts = await asyncio.gather(*(take(one, organization, key) for _ in range(20)))
        verdicts += [await take(one, organization, key) for _ in range(20)]
        lasted = time.monotonic() - began
    finally:
        os.kill(pid, signal.SIGCONT)
    await one.stop()

    assert sum(verdict.is_allowed for verdict in verdicts) == 30
    assert lasted < 1.0  # 40 calls: each waiting 20 ms would be more on its own
    assert not any(verdict.is_shared for verdict in verdicts)


async def test_a_valkey_that_never_was_there_is_looked_for(organization: str) -> None:
    one = RateLimits("unix:///nowhere/valkey.sock")
    await one.start()

    verdicts = [await take(one, organization, Subject("key:1", requests=1)) for _ in range(2)]
    await one.stop()

    assert [verdict.is_allowed for verdict in verdicts] == [True, False]
    assert verdicts[1].retry_after <= 62


def _spend(url: str, organization: str, seconds: float) -> list[tuple[float, float]]:
    """Take as fast as one process can; return when granted calls were asked for and answered."""
    link.SLOW = seconds  # a busy machine is no Valkey that is away

    async def run() -> list[tuple[float, float]]:
        one = RateLimits(url, minute=SHORT)
        await one.start()
        key = Subject("key:1", requests=40)
        granted, until = [], time.monotonic() + seconds
        while (asked := time.monotonic()) < until:
            verdicts = await asyncio.gather(*(take(one, organization, key) for _ in range(8)))
            answered = time.monotonic()
            granted += [(asked, answered) for verdict in verdicts if verdict.is_allowed]
            await asyncio.sleep(0.01)
        await one.stop()
        return granted

    return asyncio.run(run())


@pytest.mark.concurrency
def test_two_processes_together_never_pass_the_limit(redis_url: str, organization: str) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(_spend, [(redis_url, organization, SHORT * 2.5)] * 2)
    asked = sorted(at for times in found for at, _ in times)
    answered = sorted(at for times in found for _, at in times)

    # each was counted between the two: so many later, a minute must have passed
    assert all(
        late - early > SHORT * 0.99 for early, late in zip(asked, answered[40:], strict=False)
    )
    assert len(asked) >= 80  # the window slides: two full ones at least
    assert all(found)
