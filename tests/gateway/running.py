"""A gateway and a provider in the test's own loop, on real sockets, and an organization to serve."""

import asyncio
import base64
import contextlib
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from django.conf import settings
from django.db import connections
from psycopg.rows import dict_row
from uvicorn import Config
from uvicorn.server import ServerState

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import CostCenter
from gateway.keys import keyring
from gateway.keys.models import ApiKey
from gateway.proxy import asgi
from gateway.proxy.asgi import Proxy
from gateway.proxy.http import HttpProtocol
from gateway.upstreams.models import Upstream
from tests import factories
from tests.fakes.provider import Provider

MODEL = "fake-1"
RATES = {"base": {"input": "1", "output": "2"}}  # USD per million tokens


@dataclass
class House:
    """An organization that may call one provider, and the key of its program."""

    id: uuid.UUID
    key: ApiKey
    token: str
    center: CostCenter
    upstream: Upstream
    port: int

    async def make(self, factory: Callable[..., Any], **columns: Any) -> Any:
        """Make a row of this organization."""

        def work() -> Any:
            with tenant(self.id):
                return factory(**columns)

        return await aside(work)


async def aside(work: Callable[..., Any], **arguments: Any) -> Any:
    """Run synchronous work with Django in a thread, and leave no connection open."""

    def run() -> Any:
        try:
            return work(**arguments)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_house(*, key: dict[str, Any] | None = None, **upstream: Any) -> House:
    """Make an organization with a key, a cost center, and a priced model at a local provider."""
    organization, port = factories.make_organization(), free_port()
    columns = {
        "kind": "openai_compatible",
        "provider": "fake",
        "base_url": f"http://127.0.0.1:{port}/v1",
        "is_error_unbilled": True,
        **upstream,
    }
    with tenant(organization.pk):
        center = factories.make_cost_center(
            code="MARKETING", department=factories.make_department()
        )
        organization.default_cost_center_id = center.pk
        organization.save()
        made = factories.make_upstream(**columns)
        factories.make_route(name=MODEL, upstream=made)
        factories.make_price(
            model=MODEL,
            provider="fake",
            rates=RATES,
            context_window=100_000,
            max_output_tokens=1000,
        )
        issued, token = keyring.issue("tests", by=SYSTEM, fields=key)
    return House(organization.pk, issued, token, center, made, port)


class Client:
    """A program that calls the gateway, and a reader of the books."""

    def __init__(self, house: House, url: str, platform_dsn: str) -> None:
        """Call as the key of `house`."""
        self.house, self.url, self._dsn = house, url, platform_dsn
        self.http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {house.token}"}, timeout=20
        )

    async def chat(
        self, text: str = "hi", *, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Make one call."""
        return await self.http.post(
            "/v1/chat/completions", json=asked(text, **body), headers=headers
        )

    async def calls(self, *, until: Callable[[list[dict[str, Any]]], bool] | None = None) -> Any:
        """Return the calls in the books, oldest first, once they are as expected."""
        rows: list[dict[str, Any]] = []
        for _ in range(200):
            rows = await self.rows("SELECT * FROM v1_calls WHERE organization_id = %s ORDER BY 1")
            if until is None or until(rows):
                return rows
            await asyncio.sleep(0.05)
        raise AssertionError(f"the books never became as expected: {rows}")

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """Read rows of this organization."""
        async with await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, row_factory=dict_row
        ) as connection:
            return await (await connection.execute(sql, [self.house.id])).fetchall()

    async def period(self) -> dict[str, Any]:
        """Return the one budget period."""
        rows = await self.rows(
            "SELECT * FROM v1_periods WHERE organization_id = %s AND now() >= starts_at AND now() < ends_at"
        )
        return rows[0]


def asked(text: str, **body: Any) -> dict[str, Any]:
    """Return the body of a call."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **body}


def config(dsn: str, house: House, folder: Path, redis_url: str = "") -> asgi.Config:
    """Return the configuration of a gateway that may reach the house's provider."""
    return asgi.Config(
        dsn=dsn,
        journal=folder,
        role="gateway",
        version="tests",
        peppers=settings.TOLLKEEPER_KEY_PEPPER,
        wrap_key=settings.TOLLKEEPER_WRAP_KEY,
        fingerprint_secret=base64.b64decode(settings.TOLLKEEPER_FINGERPRINT_SECRET),
        egress=(f"127.0.0.1:{house.port}",),
        drain_s=3.0,
        redis_url=redis_url,
    )


@contextlib.asynccontextmanager
async def served(application: Any, port: int) -> AsyncIterator[str]:
    """Serve an ASGI application with the gateway's own protocol."""
    settings_ = Config(application, lifespan="off", log_level="critical")
    settings_.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpProtocol(settings_, state, {}), "127.0.0.1", port
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await server.wait_closed()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=0.5)
        for task in list(state.tasks):
            task.cancel()


@contextlib.asynccontextmanager
async def running(
    house: House, dsn: str, platform_dsn: str, redis_url: str = ""
) -> AsyncIterator[tuple[Client, Proxy, Provider]]:
    """Run a provider and a gateway; stop both in order."""
    with tempfile.TemporaryDirectory() as folder:
        provider = Provider(Path(folder) / "bill")
        proxy = Proxy(config(dsn, house, Path(folder) / "journal", redis_url))
        async with served(provider, house.port):
            await proxy.start()
            async with served(proxy, free_port()) as url:
                client = Client(house, url, platform_dsn)
                try:
                    yield client, proxy, provider
                finally:
                    await client.http.aclose()
                    await proxy.stop()
