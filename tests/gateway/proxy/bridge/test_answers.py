"""Kept answers: asked for once at a time, never kept when a change was told of meanwhile."""

import asyncio

from gateway.proxy.bridge.answers import OLD, TRIES, Answers, Cache


class Oracle:
    """Answers each question with its number, as slowly as it is told."""

    def __init__(self) -> None:
        self.asked, self.gate = 0, asyncio.Event()

    async def __call__(self) -> int:
        """Answer."""
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        return number


async def test_a_question_is_asked_once_for_all_who_want_to_know() -> None:
    answers, oracle = Answers(), Oracle()
    cache: Cache = {}
    waiting = [asyncio.create_task(answers.cached(cache, "who", oracle, OLD)) for _ in range(5)]
    await asyncio.sleep(0)
    oracle.gate.set()

    assert await asyncio.gather(*waiting) == [1] * 5
    assert await answers.cached(cache, "who", oracle, OLD) == 1
    assert oracle.asked == 1


async def test_an_answer_that_a_change_overtook_is_asked_for_anew() -> None:
    answers, oracle = Answers(), Oracle()
    cache: Cache = {}
    waiting = asyncio.create_task(answers.cached(cache, "who", oracle, OLD))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    answers.changes += 1
    oracle.gate.set()

    assert await waiting == 2
    assert cache["who"].value == 2


async def test_what_never_comes_to_rest_is_not_kept() -> None:
    answers, asked = Answers(), 0
    cache: Cache = {}

    async def restless() -> int:
        nonlocal asked
        asked += 1
        answers.changes += 1
        return asked

    assert await answers.cached(cache, "who", restless, OLD) == TRIES
    assert not cache
