"""The live stream as its readers meet it: what arrives, what is refused, when it ends."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from gateway.live import sockets, stream, subscription
from gateway.live.stream import PATH
from tests.gateway.live.listening import Station, ending, is_silent, said, until
from tests.gateway.running import aside, make_house


async def test_a_settled_call_is_told_with_all_its_facts(station: Station) -> None:
    async with station.listening() as socket:
        station.settle(request_id="one")

        event = await said(socket)

    assert event == {
        "event": "cost",
        "timestamp": "2026-11-22T14:03:07.120Z",
        "request_id": "one",
        "cost_center": "RND",
        "user": "ada",
        "path": None,
        "feature": None,
        "model": "small",
        "model_billed": "small-2026",
        "provider": "fake",
        "tokens": {"input": 10, "output": 5, "total": 15},
        "cost_usd": "0.02",
        "is_estimated": False,
        "latency_ms": 120,
        "anomaly": False,
    }


async def test_a_reader_who_does_not_ask_for_a_greeting_hears_of_calls_only(
    station: Station,
) -> None:
    async with station.socket() as socket:
        await socket.send(json.dumps({"api_key": station.house.token}))
        station.settle(request_id="while it was being opened")

        assert (await said(socket))["request_id"] == "while it was being opened"


async def test_server_sent_events_tell_the_same(station: Station) -> None:
    async with station.reading("?cost_centers=RND&min_cost_usd=0.01") as told:
        station.settle(request_id="small", cost_usd="0.001")
        station.settle(request_id="mine")

        name, event = await anext(told)

    assert (name, event["request_id"], event["cost_usd"]) == ("cost", "mine", "0.02")


async def test_a_filter_leaves_out_what_was_not_asked_for(station: Station) -> None:
    filters = {"cost_centers": ["RND"], "models": ["small"], "min_cost_usd": "0.01"}
    async with station.listening(filters=filters) as socket:
        station.settle(request_id="elsewhere", cost_center="OPS")
        station.settle(request_id="large", model="large", model_billed="large")
        station.settle(request_id="cheap", cost_usd="0.0001")
        station.settle(request_id="unpriced", cost_usd=None)
        station.settle(request_id="wanted")

        assert (await said(socket))["request_id"] == "wanted"
        assert await is_silent(socket)


async def test_a_call_above_the_organization_s_threshold_is_an_anomaly(station: Station) -> None:
    async with station.listening() as socket:
        station.settle(cost_usd="0.10")
        station.settle(cost_usd="0.100000000001")

        assert [(await said(socket))["anomaly"] for _ in range(2)] == [False, True]


async def test_the_threshold_is_the_organization_s_own(station: Station) -> None:
    def lower() -> None:
        with tenant(station.house.id):
            Organization.objects.update(anomaly_call_usd=Decimal("0.01"))

    await aside(lower)
    async with station.listening() as socket:
        station.settle()

        assert (await said(socket))["anomaly"] is True


async def test_nobody_hears_of_another_organization(station: Station) -> None:
    other = await aside(make_house)
    async with (
        station.listening() as ours,
        station.listening(api_key=other.token) as theirs,
    ):
        station.settle(organization_id=other.id, request_id="theirs")
        station.settle(request_id="ours")

        assert (await said(ours))["request_id"] == "ours"
        assert (await said(theirs))["request_id"] == "theirs"
        assert await is_silent(ours)
        assert await is_silent(theirs)


@pytest.mark.parametrize(
    ("first", "code", "number"),
    [
        ("", "invalid_request", 4400),
        ("hello", "invalid_request", 4400),
        ("[]", "invalid_request", 4400),
        ('{"api_key": "a", "api_key": "b"}', "invalid_request", 4400),
        ('{"filters": {"min_cost_usd": NaN}}', "invalid_request", 4400),
        ('{"filters": {"cost_centers": "RND"}}', "invalid_request", 4400),
        (b"\xff\xfe", "invalid_request", 4400),
        ("[" * 9000, "invalid_request", 4400),
        ('{"api_key": "' + "x" * 20_000 + '"}', "invalid_request", 4400),
        ('{"api_key": "tk_live_no"}', "invalid_api_key", 4401),
        ('{"api_key": "' + "\\u0000" * 9 + '"}', "invalid_api_key", 4401),
        ('{"api_key": "\\ud800"}', "invalid_request", 4400),
        ("{}", "invalid_api_key", 4401),
    ],
)
async def test_a_bad_first_message_is_refused_in_words_and_with_a_close_code(
    station: Station, first: Any, code: str, number: int
) -> None:
    async with station.socket() as socket:
        await socket.send(first)

        assert await ending(socket) == (code, number)


async def test_who_says_nothing_is_sent_away(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "FIRST", 0.1)
    async with station.socket() as socket:
        assert await ending(socket) == ("request_timeout", 4408)


async def test_who_talks_and_talks_is_sent_away(station: Station) -> None:
    async with station.listening() as socket:
        for _ in range(sockets.CHATTER):
            await socket.send("and another thing")

        with pytest.raises(ConnectionClosed):
            await said(socket)


async def test_other_paths_have_no_socket(station: Station) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{station.url.replace('http', 'ws', 1)}/v1/chat/completions")

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", {}, 401, "invalid_api_key"),
        ("", {"Authorization": "Bearer tk_live_no"}, 401, "invalid_api_key"),
        ("", {"x-api-key": "a", "Authorization": "Bearer b"}, 400, "conflicting_credentials"),
        ("?api_key=tk_live_no", {}, 400, "invalid_request"),
        ("?min_cost_usd=much", {}, 400, "invalid_request"),
        ("?min_cost_usd=", {}, 400, "invalid_request"),
        ("?%ff%00=1", {}, 400, "invalid_request"),
    ],
)
async def test_a_request_for_events_that_cannot_be_served_says_why(
    station: Station, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{station.url}{PATH}{query}", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["cache-control"] == "no-store"


async def test_events_are_only_read(station: Station) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{station.url}{PATH}", json={})

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_a_slow_reader_learns_how_much_it_missed_and_slows_nobody(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "ROOM", 8)
    big = "x" * 60_000
    async with station.listening() as quick:
        socket = station.socket(max_queue=1)
        async with socket as slow:
            await slow.send(json.dumps({"api_key": station.house.token}))
            await until(lambda: station.live.subscription.readers_of(str(station.house.id)) == 2)
            for n in range(400):
                station.settle(request_id=str(n), user=big)
                if n % 4 == 0:
                    assert (await said(quick))["event"] in {"cost", "lagged"}
            heard = [await said(slow) for _ in range(20)]

    missed = sum(event.get("missed", 0) for event in heard)
    assert missed > 0
    assert station.broadcast.dropped == 0


async def test_an_organization_has_a_limit_of_streams(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "EACH", 1)
    async with station.listening(), station.socket() as second:
        await second.send(json.dumps({"api_key": station.house.token}))

        assert await ending(second) == ("rate_limited", 4429)


async def test_a_process_has_a_limit_of_streams(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST", 1)
    async with station.listening(), httpx.AsyncClient() as client:
        headers = {"x-api-key": station.house.token}
        answer = await client.get(f"{station.url}{PATH}", headers=headers)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


async def test_who_has_not_said_who_they_are_takes_nobodys_place(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST", 1)
    async with station.socket(), station.socket(), station.listening():
        assert len(station.live.subscription) == 1


async def test_streams_end_before_the_server_stops(station: Station) -> None:
    async with station.listening() as socket, station.reading() as told:
        station.live.close()

        assert await ending(socket) == ("stopping", 1012)
        assert (await anext(told))[1]["error"]["code"] == "stopping"


async def test_who_leaves_is_forgotten(station: Station) -> None:
    owner = str(station.house.id)
    async with station.listening(), station.reading():
        assert station.live.subscription.readers_of(owner) == 2

    await until(lambda: len(station.live.subscription) == 0)


async def test_many_readers_hear_the_same(station: Station) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sockets_ = [await stack.enter_async_context(station.listening()) for _ in range(20)]
        for n in range(30):
            station.settle(request_id=str(n))

        for socket in sockets_:
            assert [(await said(socket))["request_id"] for _ in range(30)] == [
                str(n) for n in range(30)
            ]
