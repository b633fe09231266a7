"""Fixtures of the fault matrix."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from gateway.proxy.upstream import breaker
from tests.gateway.proxy.faults.stage import Stage, staged
from tests.gateway.running import House, make_house

Play = Callable[..., AbstractAsyncContextManager[Stage]]
MANY = 1_000_000


@pytest.fixture
def house(committed: None) -> House:
    """Give an organization whose key may call as often as the matrix does."""
    return make_house(key={"requests_per_minute": MANY}, idle_timeout_s=20, total_timeout_s=60)


@pytest.fixture
def play(gateway_dsn: str, platform_dsn: str) -> Play:
    """Give a way to run a gateway before a faulty provider."""

    def start(house: House, **options: Any) -> AbstractAsyncContextManager[Stage]:
        return staged(house, gateway_dsn, platform_dsn, **options)

    return start


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every breaker closed: the matrix fails more often than any provider."""
    monkeypatch.setattr(breaker, "FAILURES", MANY)
