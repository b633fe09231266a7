"""Fixtures that every test may use."""

import os
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.db import connections
from pytest_django import DjangoDbBlocker
from pytest_socket import socket_allow_hosts

from config.embedded import EmbeddedServers
from tests import servers
from tests.cast import ours, theirs  # noqa: F401  # fixtures

LOOPBACK = ["127.0.0.1", "::1", "localhost"]


def pytest_runtest_setup() -> None:
    """Let tests reach this machine only."""
    socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """Leave the database as it is: `tests.servers` made and migrated it, and tests may not flush it."""


@pytest.fixture
def committed(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Open the database to a test that commits: it makes an organization of its own, nothing is flushed."""
    with django_db_blocker.unblock():
        yield
        for connection in connections.all(initialized_only=True):
            connection.close()


@pytest.fixture
def gateway_dsn() -> str:
    """Say where the gateway's role connects."""
    return os.environ.get("GATEWAY_DATABASE_URL", os.environ["DATABASE_URL"])


@pytest.fixture
def owner_dsn() -> str:
    """Say where the owner of the tables connects."""
    return os.environ.get("OWNER_DATABASE_URL", os.environ["DATABASE_URL"])


@pytest.fixture
def platform_dsn() -> str:
    """Say where the role that sees every organization connects."""
    return os.environ.get("PLATFORM_DATABASE_URL", os.environ["DATABASE_URL"])


@pytest.fixture
def redis_url() -> str:
    """Say where Valkey listens."""
    return os.environ["REDIS_URL"]


@pytest.fixture(scope="session")
def durable_servers() -> Iterator[EmbeddedServers]:
    """Give crash-safe servers apart from the run's own, for tests that kill processes."""
    with servers.own_servers() as own:
        yield own


@pytest.fixture(autouse=True)
def _empty_cache(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget what the test cached, if it could have cached anything."""
    yield
    if {"db", "committed", "client"} & set(request.fixturenames):
        cache.clear()
