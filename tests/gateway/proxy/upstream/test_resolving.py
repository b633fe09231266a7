"""The resolver is asked once for all who wait for the same host, and anew for who comes later."""

import asyncio

import pytest

from attribution.outbound.addresses import Origin
from gateway.proxy.upstream import client as upstream
from gateway.proxy.upstream.client import Client, Request
from gateway.proxy.upstream.connection import Deadlines, UpstreamUnreachableError

HOST = Origin("https", "provider.example", 443)


async def call(client: Client) -> None:
    """Call, and be told that the host cannot be reached."""
    request = Request(HOST, "/", [], b"", deadlines=Deadlines(connect=0.2))
    with pytest.raises(UpstreamUnreachableError):
        await client.open(request)


async def test_calls_to_one_host_share_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Origin] = []

    async def resolve(origin: Origin) -> list[str]:
        asked.append(origin)
        await asyncio.sleep(0.05)
        return ["127.0.0.1"]  # not to be called, whoever said it

    monkeypatch.setattr(upstream, "_resolved", resolve)
    client = Client()

    await asyncio.gather(*[call(client) for _ in range(5)])
    assert len(asked) == 1
    await call(client)
    assert len(asked) == 2


async def test_a_resolver_that_says_nothing_is_left_at_the_deadline_and_not_asked_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Origin] = []
    answered = asyncio.Event()

    async def resolve(origin: Origin) -> list[str]:
        asked.append(origin)
        await answered.wait()
        raise OSError("no such host")

    monkeypatch.setattr(upstream, "_resolved", resolve)
    client = Client()

    await call(client)
    await call(client)
    answered.set()
    await asyncio.sleep(0.01)

    assert len(asked) == 1
