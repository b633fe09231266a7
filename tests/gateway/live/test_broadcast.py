"""From a settled call to its reader: a real gateway, and a Valkey that dies."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis
from websockets.asyncio.client import ClientConnection

from config.embedded import EmbeddedServers
from gateway.live import broadcast, events, link
from gateway.live.broadcast import Broadcast
from gateway.live.events import Event
from tests import servers
from tests.gateway.live.conftest import on_air
from tests.gateway.live.listening import Station, ending, is_silent, said, until
from tests.gateway.live.test_events import make_event
from tests.gateway.running import House, running


@pytest.fixture
async def broadcasting(redis_url: str) -> AsyncIterator[Broadcast]:
    """Run the broadcast of a gateway to whom nobody listens."""
    running_ = Broadcast(redis_url)
    await running_.start()
    yield running_
    await running_.stop()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_call_is_told_within_two_seconds_of_its_answer(
    house: House,
    gateway_dsn: str,
    platform_dsn: str,
    redis_url: str,
    is_stream: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    async with (
        running(house, gateway_dsn, platform_dsn, redis_url) as (client, _, _),
        on_air(house, redis_url) as station,
        station.listening() as socket,
    ):
        headers = {"X-User-ID": "ada", "X-Feature": "search", "X-Request-Path": "/find"}
        answer = await client.chat(headers=headers, stream=is_stream)
        answered_at = time.monotonic()
        event = await said(socket)
        took = time.monotonic() - answered_at
        (call,) = await client.calls(until=lambda rows: rows[0]["state"] == "settled")

    assert answer.status_code == 200
    assert took < 2
    assert event["request_id"] == str(call["call_id"]) == answer.headers["x-request-id"]
    assert (event["user"], event["feature"], event["path"]) == ("ada", "search", "/find")
    assert (event["cost_center"], event["model"]) == ("MARKETING", call["model_requested"])
    assert event["model_billed"] == call["model_billed"]
    assert event["tokens"]["input"] == call["input_tokens"]
    assert event["tokens"]["output"] == call["output_tokens"]
    assert event["cost_usd"] is not None
    assert f"{call['cost']:f}".rstrip("0") == event["cost_usd"]
    assert event["latency_ms"] == call["total_ms"]


async def test_a_call_that_costs_nothing_is_not_told(
    house: House, gateway_dsn: str, platform_dsn: str, redis_url: str
) -> None:
    async with (
        running(house, gateway_dsn, platform_dsn, redis_url) as (client, _, _),
        on_air(house, redis_url) as station,
        station.listening() as socket,
    ):
        refused = await client.chat("@status=400")

        assert refused.status_code == 400
        assert await is_silent(socket)


async def test_nothing_is_made_or_sent_while_nobody_listens(
    broadcasting: Broadcast, redis_url: str
) -> None:
    def make() -> Event:
        raise AssertionError("nobody asked for it")

    with Redis.from_url(redis_url) as redis:
        before = published(redis)
        for _ in range(100):
            broadcasting.tell("nobody", make)
        await asyncio.sleep(4 * broadcast.GATHER)

        assert published(redis) == before


def published(redis: Redis) -> int:
    """Return how many messages Valkey was ever given."""
    count: int = redis.info("commandstats").get("cmdstat_publish", {"calls": 0})["calls"]
    return count


async def test_silence_is_no_outage(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "SILENCE", 0.1)
    async with station.listening() as socket:
        await asyncio.sleep(0.5)
        station.settle(request_id="first")
        assert (await said(socket))["request_id"] == "first"

        await asyncio.sleep(0.5)
        station.settle(request_id="second")
        assert (await said(socket))["request_id"] == "second"
    await asyncio.sleep(0.5)
    async with station.listening() as socket:
        station.settle(request_id="third")
        assert (await said(socket))["request_id"] == "third"


async def test_a_full_queue_drops_and_counts_and_readers_are_told(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with station.listening() as socket:
        monkeypatch.setattr(broadcast, "ROOM", 10)
        for n in range(25):
            station.settle(request_id=str(n))

        assert await said(socket) == {"event": "lagged", "missed": 15}
        assert [(await said(socket))["request_id"] for _ in range(10)] == list(map(str, range(10)))
    assert station.broadcast.dropped == 15


async def test_a_gateway_forgets_readers_of_whom_it_hears_nothing(
    broadcasting: Broadcast, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARD", 0.2)
    made: list[bool] = []

    def make() -> Event:
        made.append(True)
        return make_event()

    with Redis.from_url(redis_url) as redis:
        await until(lambda: redis.publish(events.LISTENED, b'["somebody"]') == 1)
        await asyncio.sleep(0.05)
        broadcasting.tell("somebody", make)
        await until(lambda: made)
        await asyncio.sleep(0.3)
        broadcasting.tell("somebody", make)
        await asyncio.sleep(4 * broadcast.GATHER)

    assert made == [True]


@pytest.fixture
def own_valkey() -> Iterator[EmbeddedServers]:
    """Give a Valkey that a test may kill."""
    with servers.own_valkey() as own:
        yield own


async def test_readers_are_told_when_valkey_is_away_and_hear_again_when_it_is_back(
    house: House, own_valkey: EmbeddedServers
) -> None:
    url = own_valkey.environment()["REDIS_URL"]
    async with on_air(house, url) as station, station.listening() as socket:
        station.settle(request_id="before")
        assert (await said(socket))["request_id"] == "before"

        own_valkey.stop()
        assert await said(socket) == {"event": "interrupted"}
        station.settle(request_id="lost")
        own_valkey.start()
        assert await said(socket, within=15) == {"event": "resumed"}

        assert await heard_again(station, socket)


async def heard_again(station: Station, socket: ClientConnection) -> bool:
    """Tell of calls until one arrives; the gateway may need a moment to find Valkey."""
    for _ in range(40):
        station.settle(request_id="after")
        with contextlib.suppress(TimeoutError):
            while True:
                if (await said(socket, within=0.5)).get("request_id") == "after":
                    return True
    return False


async def test_without_valkey_nobody_can_listen_and_no_call_waits(
    house: House, gateway_dsn: str, platform_dsn: str
) -> None:
    nowhere = "unix:///nowhere/valkey.sock"
    async with (
        running(house, gateway_dsn, platform_dsn, nowhere) as (client, _, _),
        on_air(house, nowhere) as station,
        station.socket() as socket,
    ):
        await socket.send(json.dumps({"api_key": house.token}))
        assert (await client.chat()).status_code == 200

        assert await ending(socket, within=10) == ("stream_unavailable", 1013)
