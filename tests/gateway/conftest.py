"""Fixtures of the gateway's tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from gateway.proxy.asgi import Proxy
from tests.fakes.provider import Provider
from tests.gateway.running import Client, House, make_house, running

Running = AbstractAsyncContextManager[tuple[Client, Proxy, Provider]]
Start = Callable[[House], Running]


@pytest.fixture
def house(committed: None) -> House:
    """Give an organization that may call a provider."""
    return make_house()


@pytest.fixture
def start(gateway_dsn: str, platform_dsn: str) -> Start:
    """Give a way to run a gateway for a house."""
    return lambda house: running(house, gateway_dsn, platform_dsn)


@pytest.fixture
async def office(house: House, start: Start) -> AsyncIterator[Any]:
    """Give a client of a running gateway for an organization without budgets."""
    async with start(house) as (client, _, _):
        yield client
