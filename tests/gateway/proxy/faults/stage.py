"""A running gateway before a provider that misbehaves, and a plain client that counts bytes."""

import asyncio
import contextlib
import dataclasses
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httptools
import msgspec
from django.conf import settings
from django.utils import timezone

from attribution.isolation.transaction import tenant
from budgets.reservations import books
from gateway.proxy.asgi import Proxy
from gateway.proxy.protocols.wire import Dialect
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream
from tests import factories
from tests.fakes.faulty import Faulty
from tests.gateway.proxy.faults import recordings
from tests.gateway.proxy.faults.recordings import Recording
from tests.gateway.running import RATES, Client, House, aside, config, free_port, served

PATIENCE = 25.0  # seconds after which a call counts as hung
LIMIT = "1000"
KINDS = {"openai_compatible": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}


@dataclass
class Answer:
    """What the client got."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False

    @property
    def id(self) -> str:
        """Return the id of the call."""
        return self.headers.get("x-request-id", "")

    def code(self, dialect: Dialect) -> str:
        """Return the code of an error in the shape of the dialect, empty where it has none."""
        body = msgspec.json.decode(self.body)
        error = body["error"]
        if dialect == "gemini":
            return str(error.get("reason", ""))
        if dialect == "anthropic":
            assert body["type"] == "error"
        return str(error.get("code", ""))

    # -- what the parser does

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        self.body += data

    def on_message_complete(self) -> None:
        """Note the end."""
        self.is_whole = True


@dataclass
class Stage:
    """A gateway, a faulty provider, an organization with a hard budget."""

    client: Client
    proxy: Proxy | None  # None: it runs in another process
    faulty: Faulty

    async def ask(
        self, recording: Recording, text: str, *, is_stream: bool = False, way: str = ""
    ) -> Answer:
        """Make one call and read its answer to the end; one that never ends fails."""
        reader, writer = await self.opened(recording, text, is_stream=is_stream, way=way)
        try:
            async with asyncio.timeout(PATIENCE):
                return await read(reader)
        finally:
            writer.close()

    async def opened(
        self, recording: Recording, text: str, *, is_stream: bool = False, way: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send one call on a connection of its own."""
        path, body = recording.request(text, is_stream=is_stream, way=way)
        port = int(self.client.url.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n"
            f"authorization: Bearer {self.client.house.token}\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return reader, writer

    async def records(self) -> dict[str, dict[str, Any]]:
        """Return the records of all calls by id, once none is open."""
        rows = await self.client.calls(until=lambda rows: all(r["state"] != "held" for r in rows))
        return {str(row["call_id"]): row for row in rows}

    async def verify(self) -> None:
        """Check that nothing is held and that the books balance."""
        period = await self.client.period()
        rows = await self.records()
        uncertain = [row["hold_amount"] for row in rows.values() if row["state"] == "uncertain"]
        assert (period["held"], period["uncertain"]) == (0, sum(uncertain))
        assert period["spent"] == sum(row["cost"] or 0 for row in rows.values())

        def check() -> list[Any]:
            with tenant(self.client.house.id):
                return list(books.verify())

        assert await aside(check) == []


async def eventually(is_so: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110  what is waited for tells nobody
            await asyncio.sleep(0.01)


async def read(reader: asyncio.StreamReader) -> Answer:
    """Read an answer to the end of its connection."""
    answer = Answer()
    parser = httptools.HttpResponseParser(answer)
    while data := await reader.read(1 << 16):
        parser.feed_data(data)
    with contextlib.suppress(httptools.HttpParserError):
        answer.status = parser.get_status_code()
    return answer


def make_upstreams(house: House, way: str = "", *, only: str = "", **columns: Any) -> None:
    """Add an upstream of every kind that the recordings need, and a priced route to each."""
    base = columns.pop("base_url", f"http://127.0.0.1:{house.port}")
    usual: dict[str, Any] = {"provider": "fake", "is_error_unbilled": True, "idle_timeout_s": 20}
    with tenant(house.id):
        for kind, under in ((k, u) for k, u in KINDS.items() if only in {"", k}):
            columns |= {"kind": kind, "base_url": base + under}
            upstream = factories.make_upstream(**usual | columns)
            _give_credential(upstream)
            factories.make_route(name=way + kind, upstream=upstream)
            make_price(way + kind)


def _give_credential(upstream: Upstream) -> None:
    """Seal a credential for an upstream."""
    origin, _ = kinds.address(upstream.kind, upstream.base_url)
    public = envelope.private_key(settings.TOLLKEEPER_WRAP_KEY).public_key()
    sealable = cast("envelope.Sealable", upstream)
    envelope.attach(sealable, "sk-none", public, origin=origin, at=timezone.now())
    upstream.save()


def make_price(model: str) -> None:
    """Price a model: 1 USD per million tokens read, 2 per million written."""
    factories.make_price(
        model=model,
        provider="fake",
        rates=RATES,
        context_window=100_000,
        max_output_tokens=1000,
    )


@contextlib.asynccontextmanager
async def staged(
    house: House, dsn: str, platform_dsn: str, *, egress: tuple[str, ...] = ()
) -> AsyncIterator[Stage]:
    """Run a faulty provider and a gateway; stop both in order."""
    await house.make(factories.make_budget, limit=LIMIT)
    await aside(make_upstreams, house=house)
    faulty = Faulty(recordings.answer)
    await faulty.start(house.port)
    with tempfile.TemporaryDirectory() as folder:
        usual = config(dsn, house, Path(folder) / "journal")
        proxy = Proxy(dataclasses.replace(usual, egress=(*usual.egress, *egress)))
        await proxy.start()
        try:
            async with served(proxy, free_port()) as url:
                client = Client(house, url, platform_dsn)
                yield Stage(client, proxy, faulty)
                await client.http.aclose()
        finally:
            await proxy.stop()
            await faulty.stop()
