"""PostgreSQL goes away: refusals stay quick, running calls finish, and nothing is lost or doubled."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.proxy.asgi import Proxy
from gateway.proxy.bridge.money import Reservation
from gateway.proxy.call import mint
from tests import factories
from tests.gateway.conftest import Start
from tests.gateway.running import Client, House, asked, config, running

SOCKET = ".s.PGSQL.5432"


class Wire:
    """A forwarder in front of PostgreSQL that can be cut, and that can swallow or delay answers."""

    def __init__(self, target: str, folder: Path) -> None:
        """Listen in `folder`, forward to the socket at `target`."""
        self.target, self.path = target, folder / SOCKET
        self.swallow = 0  # how many answers to COMMITs are lost together with their connection
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_unix_server(self._forward, self.path)

    async def cut(self) -> None:
        """Break all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.05)  # the loop closes them

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs = await asyncio.open_unix_connection(self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, theirs[1]}
        await asyncio.gather(
            self._copy(reader, theirs[1], is_answer=False),
            self._copy(theirs[0], writer, is_answer=True),
        )
        self._writers -= {writer, theirs[1]}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if is_answer and b"granted" in data and self.swallow:
                    self.swallow -= 1
                    break
                if is_answer and self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
        writer.transport.abort()


@contextlib.asynccontextmanager
async def wired(house: House, dsn: str, platform: str) -> AsyncIterator[tuple[Client, Proxy, Wire]]:
    """Run a gateway whose way to PostgreSQL can be cut."""
    with tempfile.TemporaryDirectory() as folder:
        host = parse_qs(urlsplit(dsn).query)["host"][0]
        wire = Wire(f"{host}/{SOCKET}", Path(folder))
        await wire.open()
        async with running(house, dsn.replace(host, folder), platform) as (client, proxy, _):
            yield client, proxy, wire
        await wire.cut()


@pytest.fixture
def on_socket(gateway_dsn: str) -> str:
    """Give the gateway's address, where it is a socket that a forwarder can stand in for."""
    if "host=" not in gateway_dsn:
        pytest.skip("PostgreSQL is not reached through a socket")
    return gateway_dsn


async def test_refusals_stay_quick_and_service_returns_by_itself(
    house: House, on_socket: str, platform_dsn: str
) -> None:
    async with wired(house, on_socket, platform_dsn) as (client, _, wire):
        assert (await client.chat()).status_code == 200
        await wire.cut()
        spent, codes = [], []
        for _ in range(5):
            began = time.monotonic()
            answer = await client.chat()
            spent.append(time.monotonic() - began)
            codes.append((answer.status_code, answer.json()["error"]["code"]))
        await wire.open()
        until = time.monotonic() + 5
        while (await client.chat()).status_code != 200:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)
        calls = await client.calls(until=lambda rows: all(r["state"] != "held" for r in rows))

    assert codes == [(503, "ledger_unavailable")] * 5
    assert max(spent) < 2
    assert max(spent[1:]) < 0.5  # the breaker
    assert [call["cost"] for call in calls if call["state"] == "settled"] == [
        Decimal("0.000037")
    ] * 2


async def test_a_running_stream_finishes_and_is_settled_exactly_on_return(
    house: House, on_socket: str, platform_dsn: str
) -> None:
    await house.make(factories.make_budget, limit="1")

    async with wired(house, on_socket, platform_dsn) as (client, proxy, wire):
        request = asked("@tokens=20 @gap=0.03", stream=True)
        async with client.http.stream("POST", "/v1/chat/completions", json=request) as answer:
            parts = answer.aiter_text()
            first = await anext(parts)
            await wire.cut()
            text = first + "".join([part async for part in parts])
        assert not proxy.chores.journal.is_full
        [held] = await client.calls()
        await wire.open()
        [call] = await client.calls(until=lambda rows: rows[0]["state"] == "settled")
        period = await client.period()

    assert text.endswith("data: [DONE]\n\n")
    assert held["state"] == "held"
    assert (call["output_tokens"], call["is_estimated"]) == (20, False)
    assert (period["held"], period["spent"]) == (0, call["cost"])


async def test_an_answer_lost_after_its_commit_is_asked_again_and_held_once(
    house: House, on_socket: str, platform_dsn: str
) -> None:
    await house.make(factories.make_budget, limit="1")

    async with wired(house, on_socket, platform_dsn) as (client, _, wire):
        wire.swallow = 1
        answer = await client.chat()
        calls = await client.calls()
        period = await client.period()

    assert wire.swallow == 0
    assert answer.status_code == 200
    assert [call["state"] for call in calls] == ["settled"]
    assert (period["held"], period["spent"]) == (0, Decimal("0.000037"))


async def test_an_admission_that_comes_too_late_is_given_back(
    house: House, on_socket: str, platform_dsn: str
) -> None:
    await house.make(factories.make_budget, limit="1")

    async with wired(house, on_socket, platform_dsn) as (client, _, wire):
        assert (await client.chat()).status_code == 200
        wire.delay = 1.8
        answer = await client.chat()
        wire.delay = 0.0
        calls = await client.calls(
            until=lambda rows: len(rows) == 2 and all(r["state"] != "held" for r in rows)
        )
        period = await client.period()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert [call["state"] for call in calls] == ["settled", "released"]
    assert period["held"] == 0


async def test_what_a_dead_process_knew_is_replayed_at_the_next_start(
    house: House, gateway_dsn: str, platform_dsn: str, start: Start, tmp_path: Path
) -> None:
    await house.make(factories.make_budget, limit="1")
    dying = Proxy(config(gateway_dsn, house, tmp_path))
    await dying.start()
    ids = {
        state: mint(dying.lookup.clock.now_ms()) for state in ("settled", "uncertain", "released")
    }
    caller = await dying.gateway.callers.of(house.token)
    period = caller.catalog.row.budgets[0].periods[0].id
    for call in ids.values():
        outcome, _ = await dying.money.reserve(_held(house, caller.key.epoch, call, period))
        assert outcome == "granted"
    dying.chores.journal.sent(ids["settled"])
    dying.chores.journal.sent(ids["uncertain"])
    dying.chores.journal.results(
        {ids["settled"]: {"id": ids["settled"], "state": "settled", "cost": "0.25"}}
    )
    os.close(dying.chores.journal._file)  # as the kernel does at a kill
    dying.chores.journal._file = os.open(os.devnull, os.O_WRONLY)

    heir = Proxy(config(gateway_dsn, house, tmp_path))
    await heir.start()
    client = Client(house, "http://nowhere", platform_dsn)
    calls: list[dict[str, Any]] = await client.calls(
        until=lambda rows: all(row["state"] != "held" for row in rows)
    )
    now = await client.period()
    await client.http.aclose()
    for proxy in (heir, dying):
        await proxy.stop()

    assert {row["state"]: str(row["call_id"]) for row in calls} == ids
    assert (now["spent"], now["uncertain"], now["held"]) == (Decimal("0.25"), Decimal("0.1"), 0)


def _held(house: House, epoch: int, call: str, period: int) -> Reservation:
    return Reservation(
        id=call,
        organization_id=str(house.id),
        api_key_id=str(house.key.pk),
        epoch=epoch,
        amount="0.1",
        periods=[period],
        deadline_s=60,
    )
