"""Clients that leave, at every stage of a call, and clients that do not read."""

import asyncio
import contextlib
import dataclasses
import time
from typing import Any

import pytest

from gateway.proxy import pump
from gateway.proxy.upstream import relay
from tests.fakes.framing import Heard
from tests.gateway.proxy.faults.conftest import Play
from tests.gateway.proxy.faults.recordings import CHAT, GENERATE
from tests.gateway.proxy.faults.stage import Stage, eventually, read
from tests.gateway.running import House

# Thoughts that nobody sees are billed: only the end of the stream says how many.
HIDDEN = dataclasses.replace(
    GENERATE, asked=lambda text: {"contents": [{"parts": [{"text": text}]}], "generationConfig": {}}
)


async def heard(stage: Stage) -> Heard:
    """Wait until the provider heard the request."""
    await eventually(lambda: bool(stage.faulty.heard))
    return stage.faulty.heard[0]


async def settled(stage: Stage) -> dict[str, Any]:
    """Return the record of the one call, once it is not open."""
    [row] = await stage.client.calls(until=_is_over)
    await stage.verify()
    return dict(row)


def _is_over(rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(row["state"] != "held" for row in rows)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_who_leaves_at_once_leaves_nothing_held(
    house: House,
    play: Play,
    is_stream: bool,  # noqa: FBT001  pytest names it
) -> None:
    async with play(house) as stage:
        for wait in (0, 0, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03):
            _, writer = await stage.opened(CHAT, "@fault=slow @wait=0.2", is_stream=is_stream)
            await asyncio.sleep(wait)
            writer.transport.abort()
        records = await _at_rest(stage)
        sent = {request.id for request in stage.faulty.heard}

    assert all(record["state"] in {"settled", "released"} for record in records.values())
    for call, record in records.items():  # what was written may not have been heard any more
        assert (record["cost"] > 0) == (record["state"] == "settled")
        assert record["state"] == "settled" or call not in sent


async def _at_rest(stage: Stage) -> dict[str, dict[str, Any]]:
    """Return all records once no call is under way."""
    await asyncio.sleep(0.3)
    await eventually(lambda: stage.proxy is not None and not len(stage.proxy.pumps))
    records = await stage.records()
    await stage.verify()
    return records


async def test_who_leaves_before_a_stream_began_is_charged_a_count_and_the_provider_is_cut(
    house: House, play: Play
) -> None:
    async with play(house) as stage:
        _, writer = await stage.opened(CHAT, "@fault=silent", is_stream=True)
        request = await heard(stage)
        writer.close()
        began = time.monotonic()
        record = await settled(stage)
        await eventually(lambda: request.is_left, seconds=5)

    assert time.monotonic() - began < 15
    assert (record["state"], record["error_code"]) == ("settled", "client_gone")
    assert record["is_estimated"]
    assert record["cost"] > 0


async def test_who_leaves_between_refused_tries_pays_nothing(house: House, play: Play) -> None:
    async with play(house) as stage:
        _, writer = await stage.opened(CHAT, "@fault=status @status=429 @after=5", is_stream=True)
        await heard(stage)
        await asyncio.sleep(0.2)
        writer.close()
        record = await settled(stage)

    assert (record["state"], record["cost"], record["error_code"]) == ("released", 0, "client_gone")
    assert len(stage.faulty.heard) == 1


async def test_what_only_its_end_can_price_is_read_to_the_end(house: House, play: Play) -> None:
    async with play(house) as stage:
        reader, writer = await stage.opened(HIDDEN, "@fault=drip @gap=0.001", is_stream=True)
        await reader.readuntil(b"word ")
        writer.close()
        record = await settled(stage)

    assert (record["state"], record["cost_source"]) == ("settled", "usage")
    assert str(record["cost"]).rstrip("0") == HIDDEN.cost


async def test_it_is_not_read_for_ever(
    house: House, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "DRAIN", 0.3)
    async with play(house) as stage:
        reader, writer = await stage.opened(HIDDEN, "@fault=comments", is_stream=True)
        await reader.readuntil(b"still")
        writer.close()
        record = await settled(stage)

    assert (record["state"], record["error_code"]) == ("uncertain", "client_gone")


async def test_who_reads_nothing_of_a_stream_stalls_it_and_is_cut_off(
    house: House, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "STALL", 0.5)
    async with play(house) as stage:
        reader, writer = await stage.opened(
            CHAT, "@fault=comments @size=60000 @gap=0", is_stream=True
        )
        record = await settled(stage)
        got = await _rest(reader)
        writer.close()

    assert (record["state"], record["error_code"]) == ("settled", "client_gone")
    assert got < 30 << 20


async def test_who_reads_nothing_of_a_large_answer_pays_for_it_and_is_cut_off(
    house: House, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "STALL", 0.5)
    async with play(house) as stage:
        reader, writer = await stage.opened(CHAT, "@fault=large @mb=40")
        record = await settled(stage)
        await asyncio.sleep(1.2)
        got = await _rest(reader)
        writer.close()

    assert (record["state"], record["cost_source"]) == ("settled", "usage")
    assert got < 30 << 20


async def test_a_large_answer_arrives_whole(house: House, play: Play) -> None:
    async with play(house) as stage:
        reader, writer = await stage.opened(CHAT, "@fault=large @mb=9")
        await asyncio.sleep(0.5)
        answer = await read(reader)
        writer.close()

    assert (answer.status, answer.is_whole) == (200, True)
    assert len(answer.body) > 9 << 20


async def _rest(reader: asyncio.StreamReader) -> int:
    """Read what is left and return its size; a reset ends it."""
    size = 0
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 20):
            size += len(data)
    return size
