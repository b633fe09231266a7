"""Fixtures of the live stream's tests."""

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.live.broadcast import Broadcast
from gateway.live.stream import Live
from tests.gateway.live.listening import Station
from tests.gateway.running import House, free_port, make_house, served

Tune = Callable[..., contextlib.AbstractAsyncContextManager[Station]]


@pytest.fixture
def house(committed: None) -> House:
    """Give an organization whose calls somebody may listen to."""
    return make_house()


@pytest.fixture
async def station(house: House, redis_url: str) -> AsyncIterator[Station]:
    """Run the live stream of a web process, and the broadcast of a gateway."""
    async with on_air(house, redis_url) as running:
        yield running


@pytest.fixture
def tune() -> Tune:
    """Give a way to run them over another Valkey."""
    return on_air


@contextlib.asynccontextmanager
async def on_air(house: House, redis_url: str) -> AsyncIterator[Station]:
    """Run both; stop both in order."""
    live, broadcast = Live(redis_url), Broadcast(redis_url)
    await live.start()
    await broadcast.start()
    async with served(live, free_port()) as url:
        try:
            yield Station(house, url, live, broadcast)
        finally:
            await live.stop()
            await broadcast.stop()
