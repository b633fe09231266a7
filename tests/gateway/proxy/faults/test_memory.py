"""What faults cost a gateway process: its memory before, under and after them."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import factories
from tests.concurrency import processes
from tests.concurrency.processes import Process
from tests.fakes.faulty import Faulty
from tests.gateway.proxy.faults import cases, recordings
from tests.gateway.proxy.faults.cases import Case
from tests.gateway.proxy.faults.recordings import CHAT
from tests.gateway.proxy.faults.stage import Stage, make_upstreams
from tests.gateway.running import Client, House, aside

pytestmark = pytest.mark.concurrency

MOST = 32 << 10  # KiB
ROUNDS = 2  # fewer failures in a row than open a breaker
BLOCKED = {"endless"}  # after a breach of its bound a model is refused under a hard budget


@contextlib.asynccontextmanager
async def apart(house: House, platform_dsn: str, folder: Path) -> AsyncIterator[tuple[Stage, int]]:
    """Run a faulty provider here and a gateway in a process of its own; give that one's id."""
    faulty = Faulty(recordings.answer)
    await faulty.start(house.port)
    provider = Process([], {}, f"http://127.0.0.1:{house.port}")
    gateway = processes.gateway({"TOLLKEEPER_JOURNAL_DIR": str(folder)}, provider)
    try:
        await asyncio.to_thread(gateway.start)
        client = Client(house, gateway.url, platform_dsn)
        yield Stage(client, None, faulty), gateway.pid
        await client.http.aclose()
    finally:
        await asyncio.to_thread(gateway.stop)
        await faulty.stop()


def chosen() -> list[Case]:
    """Return the quick cases, each with an upstream and so a breaker of its own.

    A whole answer may have 64 MB, which is no fault: here it has 8.
    """
    quick = [c for c in cases.every(CHAT) if not c.way and c.name not in BLOCKED]
    return [
        dataclasses.replace(case, wish=case.wish.replace("mb=70", "mb=8"), way=f"w{number}-")
        for number, case in enumerate(quick)
    ]


def rss(pid: int) -> int:
    """Return the resident memory of a process in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def test_faults_leave_no_memory_behind(
    house: House, platform_dsn: str, tmp_path: Path
) -> None:
    todo = chosen()
    await house.make(factories.make_budget, limit="1000")
    await aside(make_upstreams, house=house)
    for case in todo:
        await aside(make_upstreams, house=house, way=case.way, only=CHAT.kind)

    async with apart(house, platform_dsn, tmp_path) as (stage, pid):
        for _ in range(5):  # what every process needs once
            await asyncio.gather(*[stage.ask(CHAT, "hi", is_stream=n % 2 > 0) for n in range(20)])
        before = most = rss(pid)
        for _ in range(ROUNDS):
            asking = asyncio.gather(
                *[stage.ask(CHAT, c.wish, is_stream=c.is_stream, way=c.way) for c in todo]
            )
            while not asking.done():
                most = max(most, rss(pid))
                await asyncio.sleep(0.01)
            await asking
        after = rss(pid)
        records = await stage.records()
        await stage.verify()

    assert len(records) == 100 + ROUNDS * len(todo)
    assert most - before <= MOST, f"{most - before} KiB at most, {after - before} KiB after"
