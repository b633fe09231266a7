"""The client: connections are kept, limits hold, and an error says whether anything was sent."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from attribution.outbound.addresses import Exceptions, Origin
from gateway.proxy.upstream import client as upstream
from gateway.proxy.upstream.client import Client, Request, Response
from gateway.proxy.upstream.connection import (
    BODY,
    QUEUE,
    Deadlines,
    UpstreamBrokenError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
QUICK = Deadlines(connect=2, idle=0.3, total=1.0)


class Server:
    """A provider that answers each request on a connection with the next of its answers."""

    def __init__(self, *answers: bytes | Answer, tls: ssl.SSLContext | None = None) -> None:
        """Keep the answers; after the last one the connection is closed."""
        self.answers = list(answers)
        self.heads: list[bytes] = []
        self.connections = 0
        self._tls = tls
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Server":
        """Listen on a free loopback port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.origin = Origin("http" if self._tls is None else "https", "127.0.0.1", self.port)
        self.client = Client(exceptions=Exceptions([f"127.0.0.1:{self.port}"]))
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop, with all connections."""
        self.client.close()
        self.drop()
        self._server.close()
        await self._server.wait_closed()
        await asyncio.sleep(0.02)

    def drop(self) -> None:
        """Close all connections."""
        for writer in self._open:
            writer.close()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.heads.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if callable(answer):
                    await answer(reader, writer)
                else:
                    writer.write(answer)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._open.discard(writer)

    async def ask(self, deadlines: Deadlines = QUICK) -> Response:
        """Send one request."""
        request = Request(self.origin, "/v1/x", [(b"x-a", b"b")], b"{}", deadlines=deadlines)
        return await self.client.open(request)


async def text(response: Response) -> bytes:
    """Read a body and give the connection back."""
    try:
        return await response.read()
    finally:
        response.close()


async def drained(response: Response) -> None:
    """Read a body without keeping it."""
    while await response.next():
        pass


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.sleep(5)


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one byte at a time, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        writer.write(b".")
        await asyncio.sleep(0.05)


async def test_a_request_is_written_once_and_plainly() -> None:
    async with Server(OK) as server:
        response = await server.ask()

        assert (response.status, await text(response)) == (200, b"ok")
        assert server.heads == [
            b"POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n"
            b"content-length: 2\r\nx-a: b\r\n\r\n{}" % server.port
        ]


async def test_a_connection_serves_many_calls() -> None:
    async with Server(OK, OK, OK) as server:
        for _ in range(3):
            await text(await server.ask())

        assert server.connections == 1


async def test_chunked_and_close_delimited_bodies_are_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    async with Server(chunked, b"HTTP/1.1 200 OK\r\n\r\nuntil the end") as server:
        assert await text(await server.ask()) == b"abc"
        assert await text(await server.ask()) == b"until the end"


async def test_a_continue_before_the_answer_is_skipped() -> None:
    async with Server(b"HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n" + OK) as server:
        response = await server.ask()

        assert response.headers == [(b"content-length", b"2")]
        assert await text(response) == b"ok"


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    async with Server(moved, OK) as server:
        response = await server.ask()

        assert (response.status, await text(response)) == (302, b"")
        assert len(server.heads) == 1


async def test_a_kept_connection_that_died_is_replaced_before_anything_is_sent() -> None:
    async with Server(OK, OK) as server:
        await text(await server.ask())
        server.drop()
        await asyncio.sleep(0.05)

        assert await text(await server.ask()) == b"ok"
        assert server.connections == 2


async def test_an_end_that_the_loop_has_not_seen_yet_is_seen_before_the_call() -> None:
    async with Server(OK, OK) as server:
        await text(await server.ask())
        idle = server.client._idle[server.origin][0]
        idle.on_lost = None
        server.drop()
        await asyncio.sleep(0.05)

        assert not idle.is_usable()


async def test_a_kept_connection_that_dies_after_the_write_counts_as_sent() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with Server(OK, hang_up) as server:
        await text(await server.ask())

        with pytest.raises(UpstreamBrokenError) as error:
            await server.ask()
        assert error.value.was_sent
        assert len(server.heads) == 2


async def test_a_port_where_nobody_listens_was_never_sent_to() -> None:
    async with Server() as server:
        origin = server.origin
    sent: list[int] = []
    client = Client(exceptions=Exceptions([f"127.0.0.1:{origin.port}"]))
    request = Request(origin, "/", [], b"", on_send=lambda: sent.append(1))

    with pytest.raises(UpstreamUnreachableError) as error:
        await client.open(request)

    assert not error.value.was_sent
    assert not sent


@pytest.mark.parametrize(
    "origin",
    [
        Origin("http", "127.0.0.1", 9),
        Origin("https", "127.0.0.1", 443),
        Origin("https", "localhost", 443),
        Origin("https", "2130706433", 443),
        Origin("https", "0x7f.1", 443),
        Origin("https", "::ffff:127.0.0.1", 443),
        Origin("https", "name.invalid", 443),
    ],
)
async def test_what_is_not_public_is_unreachable_and_says_no_more(origin: Origin) -> None:
    with pytest.raises(UpstreamUnreachableError) as error:
        await Client().open(Request(origin, "/", [], b""))

    assert str(error.value) == "The upstream cannot be reached."


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with Server(OK) as server:
        origin = Origin("http", "localhost", server.port)  # ::1 may come first; nobody is there
        server.client = Client(exceptions=Exceptions([f"localhost:{server.port}"]))

        assert await text(await server.client.open(Request(origin, "/", [], b""))) == b"ok"


async def test_the_sending_is_announced_right_before_it() -> None:
    async with Server(OK) as server:
        heads: list[int] = []
        request = Request(
            server.origin, "/", [], b"", on_send=lambda: heads.append(len(server.heads))
        )

        await text(await server.client.open(request))

        assert heads == [0]


async def test_an_upstream_that_says_nothing_ends_at_the_idle_deadline() -> None:
    async with Server(stall) as server:
        began = asyncio.get_running_loop().time()

        with pytest.raises(UpstreamTimeoutError):
            await server.ask()
        assert asyncio.get_running_loop().time() - began < 0.9


async def test_a_slow_drip_ends_at_the_total_deadline() -> None:
    async with Server(drip) as server:
        response = await server.ask()

        with pytest.raises(UpstreamTimeoutError):
            await text(response)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_an_answer_that_is_cut_is_broken(answer: bytes) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with Server(cut) as server:
        response = await server.ask()

        with pytest.raises(UpstreamBrokenError):
            await text(response)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: y\r\n" * 20_000,
    ],
    ids=["other protocol", "compressed", "upgrade", "long header", "many headers"],
)
async def test_an_answer_that_may_not_be_is_broken(answer: bytes) -> None:
    async with Server(answer) as server:
        with pytest.raises(UpstreamBrokenError):
            await server.ask()


async def test_a_body_over_its_limit_is_broken() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (BODY * 2))
        for _ in range(BODY * 2 // (1 << 20)):
            writer.write(b"x" * (1 << 20))
            await writer.drain()

    async with Server(endless, endless) as server:
        response = await server.ask(Deadlines())
        with pytest.raises(UpstreamBrokenError):
            await response.read(1000)
        response = await server.ask(Deadlines())
        with pytest.raises(UpstreamBrokenError):
            await drained(response)
        response.close()


async def test_a_slow_reader_stalls_its_upstream_and_holds_little() -> None:
    written = [0]

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (40 << 20))
        for _ in range(40 * 16):
            writer.write(b"x" * (1 << 16))
            await writer.drain()
            written[0] += 1 << 16

    async with Server(flood) as server:
        response = await server.ask(Deadlines(idle=0.2))
        await asyncio.sleep(0.5)  # longer than the idle deadline: the reader is slow, nobody else

        assert written[0] < 20 << 20
        first = await response.next()
        assert len(first) <= QUEUE + (1 << 18)
        total = len(first) + len(await response.read())
        response.close()
        assert total == 40 << 20


async def test_an_unfinished_answer_ends_its_connection() -> None:
    async with Server(drip, OK) as server:
        response = await server.ask()
        await response.next()
        response.close()
        response.close()

        assert await response.next() == b""
        await asyncio.sleep(0.02)
        assert await text(await server.ask()) == b"ok"
        assert server.connections == 2


async def test_bytes_after_the_answer_do_not_reach_the_next_call() -> None:
    poison = OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with Server(poison, OK) as server:
        assert await text(await server.ask()) == b"ok"
        await asyncio.sleep(0.02)

        assert await text(await server.ask()) == b"ok"
        assert server.connections == 2


async def test_a_cancelled_call_leaves_no_connection() -> None:
    async with Server(stall) as server:
        task = asyncio.create_task(server.ask())
        await asyncio.sleep(0.05)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.client._idle


async def test_connections_unused_for_long_are_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Server(OK, OK) as server:
        await text(await server.ask())
        monkeypatch.setattr(upstream, "IDLE", 0.01)
        await asyncio.sleep(0.05)

        await text(await server.ask())

        assert server.connections == 2


@pytest.mark.parametrize(
    ("name", "value"), [("path", "/a b"), ("path", "/a\r\nx: y"), ("value", "")]
)
async def test_nothing_breaks_out_of_its_line(name: str, value: str) -> None:
    headers = [(b"x-a", b"b\r\nx-evil: 1")] if name == "value" else []
    request = Request(Origin("https", "h", 443), value or "/", headers, b"")

    with pytest.raises(ValueError, match=r"path|line break"):
        await Client().open(request)


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[Server, Path]]:
    """Serve over TLS with a certificate for `localhost` that nobody else trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime(2000, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    async with Server(OK, OK, tls=context) as server:
        yield server, path


async def test_tls_verifies_the_name_and_the_certificate(secure: tuple[Server, Path]) -> None:
    server, path = secure
    trusting = ssl.create_default_context(cafile=str(path))
    entries = Exceptions([f"localhost:{server.port}", f"127.0.0.1:{server.port}"])
    named, wrong = Origin("https", "localhost", server.port), server.origin

    good = Client(exceptions=entries, tls=trusting)
    assert await text(await good.open(Request(named, "/", [], b""))) == b"ok"
    with pytest.raises(UpstreamUnreachableError):
        await good.open(Request(wrong, "/", [], b""))
    with pytest.raises(UpstreamUnreachableError):
        await Client(exceptions=entries).open(Request(named, "/", [], b""))
    good.close()
    await asyncio.sleep(0.02)
