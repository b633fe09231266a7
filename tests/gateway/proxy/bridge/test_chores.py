"""What a process does beside its calls goes on, whatever one turn of it met."""

import asyncio
from pathlib import Path

import pytest

from gateway.proxy.bridge.chores import Chores
from gateway.proxy.bridge.lookup import Lookup
from gateway.proxy.bridge.pool import Pool


@pytest.fixture
def chores(tmp_path: Path) -> Chores:
    lookup = Lookup(Pool("postgresql://nobody@127.0.0.1:1/none"))
    return Chores(lookup, folder=tmp_path, role="gateway", version="1")


async def test_a_chore_goes_on_after_a_fault(chores: Chores) -> None:
    turns = 0
    enough = asyncio.Event()

    async def work() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise ValueError("a fault of ours")
        enough.set()

    chores.add(0.01, work)

    await asyncio.wait_for(enough.wait(), 5)
    await chores.stop()


async def test_a_stopped_process_begins_no_chore(chores: Chores) -> None:
    async def work() -> None:
        raise ValueError("a fault of ours")

    chores.add(0.01, work)
    await asyncio.sleep(0)
    await chores.stop()
    await asyncio.sleep(0.05)

    assert not chores._tasks
