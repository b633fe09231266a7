"""Tests of upstreams: asked on a page, carried out in the gateway under the rules of calls."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from attribution.outbound.addresses import Exceptions, Origin
from gateway.proxy.bridge.letterbox import ProbeRow
from gateway.proxy.bridge.pool import Pool
from gateway.proxy.probes import Probes
from gateway.proxy.upstream.client import Client
from gateway.proxy.upstream.sending import Courier
from gateway.routes.targets import Upstream as TargetUpstream
from gateway.upstreams import envelope
from gateway.upstreams.models import Upstream, UpstreamProbe
from tests.gateway.conftest import Start
from tests.gateway.running import House, free_port, served

SECRET = "sk-canary-0123456789abcdef"
MODELS = json.dumps({"data": [{"id": "a"}, {"id": "b"}]}).encode()
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Listener:
    """A server that answers everything alike and keeps what it was asked."""

    def __init__(self, status: int = 200, body: bytes = MODELS, **headers: str) -> None:
        self.status, self.body, self.extra = status, body, headers
        self.asked: list[tuple[str, str, dict[bytes, bytes]]] = []

    async def __call__(self, scope: MutableMapping[str, Any], _receive: Any, send: Send) -> None:
        """Answer one request."""
        self.asked.append((scope["method"], scope["path"], dict(scope["headers"])))
        headers = [(name.encode(), value.encode()) for name, value in self.extra.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


async def no_credential(_organization_id: str, _upstream: TargetUpstream) -> list[Any]:
    return []


@contextlib.asynccontextmanager
async def prober(dsn: str, *allowed: str) -> AsyncIterator[Probes]:
    """Give what a gateway tests upstreams with."""
    pool, exceptions = Pool(dsn, size=1), Exceptions(allowed)
    await pool.open()
    client = Client(exceptions=exceptions)
    private = envelope.private_key(settings.TOLLKEEPER_WRAP_KEY)
    try:
        yield Probes(pool, Courier(client, no_credential), private=private, exceptions=exceptions)
    finally:
        client.close()
        await pool.close()


async def ask(house: House, base_url: str, *, secret: str = "", **columns: Any) -> None:
    """Ask for a test of the house's upstream at another address."""

    def work() -> None:
        upstream = Upstream.objects.get(pk=house.upstream.pk)
        upstream.base_url = base_url
        for name, value in columns.items():
            setattr(upstream, name, value)
        if secret:
            place = Origin(
                "http", "127.0.0.1", int(base_url.split(":")[2].split("/", maxsplit=1)[0])
            )
            public = envelope.sealing_key("", settings.TOLLKEEPER_WRAP_KEY)
            envelope.attach(upstream, secret, public, origin=place, at=timezone.now())  # type: ignore[arg-type]  # its columns are descriptors
        upstream.save()
        UpstreamProbe.objects.update_or_create(
            upstream=upstream, defaults={"asked_at": timezone.now(), "answered_at": None}
        )

    await house.make(work)


async def told(house: House) -> UpstreamProbe:
    """Return what became of the test."""
    found = await house.make(UpstreamProbe.objects.get)
    assert isinstance(found, UpstreamProbe)
    return found


async def test_a_good_upstream_names_its_models(house: House, gateway_dsn: str) -> None:
    listener = Listener()
    async with (
        served(listener, house.port) as url,
        prober(gateway_dsn, f"127.0.0.1:{house.port}") as probes,
    ):
        await ask(house, f"{url}/v1", secret=SECRET)
        await probes.work()

    found = await told(house)
    assert (found.code, found.http_status, found.model_count) == ("", 200, 2)
    assert found.answered_at is not None
    assert found.latency_ms is not None
    [(method, path, headers)] = listener.asked
    assert (method, path) == ("GET", "/v1/models")
    assert headers[b"authorization"] == f"Bearer {SECRET}".encode()


@pytest.mark.parametrize(
    ("status", "body", "code", "quote"),
    [
        (401, b'{"error": {"message": "wrong key sk-canary-0123456789abcdef"}}', "credential_refused", "wrong key …"),
        (404, b"<h1>no\x1b[31m such\n page</h1>", "no_such_path", "<h1>no [31m such page</h1>"),
        (429, b"", "rate_limited", ""),
        (400, b'{"error": {"message": "half \\ud800 a pair"}}', "upstream_error", "half a pair"),
        (500, b"x" * 5000, "upstream_error", "x" * 200),
        (200, b"<html>welcome</html>", "no_list", ""),
        (200, b"[1]", "no_list", ""),
    ],
)  # fmt: skip
async def test_an_error_is_told_in_a_few_plain_words(
    house: House, gateway_dsn: str, status: int, body: bytes, code: str, quote: str
) -> None:
    async with (
        served(Listener(status, body), house.port) as url,
        prober(gateway_dsn, f"127.0.0.1:{house.port}") as probes,
    ):
        await ask(house, f"{url}/v1", secret=SECRET)
        await probes.work()

    found = await told(house)
    assert (found.code, found.http_status, found.quote) == (code, status, quote)


async def test_a_redirect_is_not_followed(house: House, gateway_dsn: str) -> None:
    inner, port = Listener(), free_port()
    outer = Listener(302, b"", location=f"http://127.0.0.1:{port}/")
    async with (
        served(inner, port),
        served(outer, house.port) as url,
        prober(gateway_dsn, f"127.0.0.1:{house.port}", f"127.0.0.1:{port}") as probes,
    ):
        await ask(house, f"{url}/v1")
        await probes.work()

    assert (await told(house)).code == "redirected"
    assert len(outer.asked) == 1
    assert not inner.asked


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/v1",
        "http://localhost:{port}/v1",
        "http://[::1]:{port}/v1",
        "http://2130706433:{port}/v1",
        "http://0x7f.1:{port}/v1",
        "https://127.0.0.1/v1",
        "https://10.0.0.1/v1",
        "https://192.168.1.1/v1",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/v1",
        "https://[::ffff:169.254.169.254]/v1",
        "https://[fd00:ec2::254]/v1",
        "https://name.invalid/v1",
    ],
)
async def test_what_may_not_be_reached_is_never_connected_to(
    house: House, gateway_dsn: str, address: str
) -> None:
    listener = Listener()
    async with served(listener, house.port), prober(gateway_dsn) as probes:
        await ask(house, address.format(port=house.port))
        await probes.work()

    found = await told(house)
    assert (found.code, found.http_status, found.quote) == ("upstream_unreachable", None, "")
    assert not listener.asked


async def test_a_metadata_service_stays_shut_even_to_the_operator(
    house: House, gateway_dsn: str
) -> None:
    async with prober(gateway_dsn, "169.254.169.254:80") as probes:
        await ask(house, "http://169.254.169.254/latest")
        await probes.work()

    assert (await told(house)).code == "upstream_unreachable"


async def test_a_name_that_turns_private_between_two_looks_is_not_reached(
    house: House, gateway_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver says public to whoever checks and private to whoever connects."""
    asked: list[str] = []

    async def resolve(host: str, port: int, **_options: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected: list[str] = []

    async def connect(_factory: Any, host: str, port: int, **_options: Any) -> Any:
        connected.append(host)
        raise OSError("nobody")

    loop = asyncio.get_running_loop()
    row = ProbeRow("0", str(house.id), "0", "openai_compatible", "https://rebinding.example/v1", 0)
    async with prober(gateway_dsn) as probes:
        await probes.work()  # the pool is connected before its loop resolves otherwise
        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        monkeypatch.setattr(loop, "create_connection", connect)
        found = await probes._found(row)

    assert found["code"] == "upstream_unreachable"
    assert asked == ["rebinding.example"]
    assert connected == ["93.184.215.14"]


async def test_a_credential_is_not_sent_to_an_address_it_was_not_typed_for(
    house: House, gateway_dsn: str
) -> None:
    listener = Listener()
    async with (
        served(listener, house.port) as url,
        prober(gateway_dsn, f"127.0.0.1:{house.port}") as probes,
    ):
        await ask(house, f"{url}/v1", secret=SECRET)
        await ask(house, f"http://localhost:{house.port}/v1")
        await probes.work()

    assert (await told(house)).code == "credential_unreadable"
    assert not listener.asked


async def test_two_gateways_do_not_test_twice(house: House, gateway_dsn: str) -> None:
    listener = Listener()
    allowed = f"127.0.0.1:{house.port}"
    async with (
        served(listener, house.port) as url,
        prober(gateway_dsn, allowed) as one,
        prober(gateway_dsn, allowed) as other,
    ):
        await ask(house, f"{url}/v1")
        await asyncio.gather(one.work(), other.work())

    assert len(listener.asked) == 1


async def test_a_running_gateway_finds_the_tests_that_wait(house: House, start: Start) -> None:
    async with start(house):
        await ask(house, f"http://127.0.0.1:{house.port}/v1")
        for _ in range(100):
            if (await told(house)).answered_at is not None:
                break
            await asyncio.sleep(0.1)

    found = await told(house)
    assert (found.code, found.http_status) == ("no_list", 200)


async def test_an_upstream_that_keeps_failing_is_said_to_rest(
    house: House, gateway_dsn: str
) -> None:
    async with prober(gateway_dsn) as probes:
        breaker = probes._courier.breakers[str(house.upstream.pk)]
        for _ in range(5):
            breaker.failed(asyncio.get_running_loop().time())
        await probes.work()

    upstream = await house.make(lambda: Upstream.objects.get(pk=house.upstream.pk))
    assert upstream.rested_at is not None
