"""Fixtures of the hot path's tests."""

from collections.abc import Callable, Iterator

import pytest

from config.embedded import EmbeddedServers
from gateway.proxy.rate_limits import link
from tests import servers
from tests.gateway.conftest import Running
from tests.gateway.running import House, running


@pytest.fixture
def start_limited(
    gateway_dsn: str, platform_dsn: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[House], Running]:
    """Give a way to run a gateway that counts with all others, however busy this machine is."""
    monkeypatch.setattr(link, "SLOW", 5.0)
    return lambda house: running(house, gateway_dsn, platform_dsn, redis_url=redis_url)


@pytest.fixture
def own_valkey() -> Iterator[EmbeddedServers]:
    """Give a Valkey that a test may stop."""
    with servers.own_valkey() as own:
        yield own
