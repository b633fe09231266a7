"""Answers of PostgreSQL kept for seconds: asked for anew beside the call that uses them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")
FRESH = 3.0  # seconds before a kept answer is asked for anew, beside the call that uses it
OLD = 5.0  # seconds after which a call waits for the fresh one
KEPT = 4096  # answers of each kind
TRIES = 3  # questions for one answer, while changes are told of between them


@dataclass(slots=True)
class Kept:
    """An answer and when it was asked for."""

    value: Any
    at: float

    @property
    def is_fresh(self) -> bool:
        """Tell whether it was asked for a moment ago."""
        return time.monotonic() - self.at <= FRESH


Cache = dict[Any, Kept]


class Answers:
    """Asks each question once at a time, whoever wants to know."""

    def __init__(self) -> None:
        """Start with nothing asked."""
        self.changes = 0  # heard of since the start: what was asked before one may be too old
        self._asking: dict[Any, asyncio.Task[Any]] = {}

    async def cached(
        self, cache: Cache, name: Any, ask: Callable[[], Awaitable[T]], oldest: float
    ) -> T:
        """Return a kept answer; refresh it behind the call, or before it when it is too old."""
        kept = cache.get(name)
        age = time.monotonic() - kept.at if kept else OLD
        if kept is not None and age < min(FRESH, oldest):
            return cast("T", kept.value)
        task = self._refresh(cache, name, ask)
        if kept is not None and age < oldest:
            return cast("T", kept.value)
        return await asyncio.shield(task)

    async def once(self, name: Any, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, or join the same question that is on its way."""
        return await asyncio.shield(self._start(name, ask))

    def _refresh(
        self, cache: Cache, name: Any, ask: Callable[[], Awaitable[T]]
    ) -> "asyncio.Task[T]":
        async def fill() -> T:
            at, changes = time.monotonic(), self.changes
            value = await ask()
            for _ in range(TRIES - 1):
                if changes == self.changes:
                    break
                at, changes = time.monotonic(), self.changes
                value = await ask()
            if changes == self.changes:  # else it may be older than the last change
                if len(cache) >= KEPT:
                    cache.pop(next(iter(cache)))
                cache[name] = Kept(value, at)
            return value

        return self._start(name, fill)

    def _start(self, name: Any, ask: Callable[[], Awaitable[T]]) -> "asyncio.Task[T]":
        """Start a question, or join the same one that is on its way."""
        task = self._asking.get(name)
        if task is None:
            task = asyncio.ensure_future(ask())
            self._asking[name] = task
            task.add_done_callback(lambda done: self._ended(name, done))
        return task

    def _ended(self, name: Any, task: "asyncio.Task[Any]") -> None:
        self._asking.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waits meets it; a refresh in the background is tried again
