"""One gateway for all replays: its organization has an upstream for each recorded case."""

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pytest_django import DjangoDbBlocker

from tests.gateway.running import aside
from tests.recorded import cases, replaying
from tests.recorded.replaying import Theatre


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(django_db_blocker: DjangoDbBlocker) -> AsyncIterator[Theatre]:
    """Give the running gateway."""
    if not cases.manifest():
        pytest.skip(f"no recorded responses: TOLLKEEPER_DATA is {cases.folder()}")
    usual = os.environ["DATABASE_URL"]
    dsn = os.environ.get("GATEWAY_DATABASE_URL", usual)
    books = os.environ.get("PLATFORM_DATABASE_URL", usual)
    with django_db_blocker.unblock():
        house, tokens, places = await aside(replaying.build)
        async with replaying.playing(house, tokens, places, dsn, books) as running:
            yield running
