"""The outbound client reaches what may be reached, follows nothing and waits no longer than told."""

import contextlib
import datetime as dt
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from attribution.outbound.addresses import Exceptions
from attribution.outbound.client import Client, OutboundError


class Receiver(BaseHTTPRequestHandler):
    """Notes what it gets and answers as its path says."""

    seen: list[tuple[str, str, bytes]] = []

    def do_POST(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.seen.append((self.path, self.headers["Host"], body))
        if self.path == "/drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            with contextlib.suppress(OSError):
                for _ in range(50):
                    time.sleep(0.1)
                    self.wfile.write(b"x-drip: 1\r\n")
            return
        self.send_response(302 if self.path == "/elsewhere" else 200)
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()
        self.wfile.write(b"x" * 9000)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def listening(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a receiver; give its port."""
    Receiver.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def client(port: int, *, host: str = "127.0.0.1", **options: object) -> Client:
    return Client(exceptions=Exceptions([f"{host}:{port}"]), **options)  # type: ignore[arg-type]  # a test's options


def test_a_body_arrives_with_path_query_and_host() -> None:
    with listening() as port:
        answer = client(port).post(f"http://127.0.0.1:{port}/in?to=us", b"{}", headers={"X-A": "b"})

    assert answer.is_success
    assert len(answer.body) <= 4096
    assert Receiver.seen == [("/in?to=us", f"127.0.0.1:{port}", b"{}")]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/in",
        "https://127.0.0.1/in",
        "https://localhost/in",
        "https://user@example.com/",
        "ftp://example.com/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://example.com/#here",
        "not an address",
    ],
)
def test_what_may_not_be_reached_is_refused_before_a_byte_is_sent(url: str) -> None:
    with listening() as port, pytest.raises(OutboundError, match="cannot be reached"):
        Client().post(url.format(port=port), b"{}", headers={})

    assert Receiver.seen == []


def test_an_answer_that_sends_elsewhere_is_an_answer() -> None:
    with listening() as port:
        answer = client(port).post(f"http://127.0.0.1:{port}/elsewhere", b"{}", headers={})

    assert answer.status == 302
    assert not answer.is_success
    assert len(Receiver.seen) == 1


def test_an_answer_that_drips_is_cut_at_the_deadline() -> None:
    with listening() as port:
        started = time.monotonic()
        with pytest.raises(OutboundError):
            client(port, total=dt.timedelta(seconds=0.5)).post(
                f"http://127.0.0.1:{port}/drip", b"{}", headers={}
            )

    assert time.monotonic() - started < 4


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with listening() as port:
        answer = client(port).post(f"http://127.0.0.1:{port}/in", b"{}", headers={})

    assert answer.is_success


def test_a_certificate_must_name_the_host(tmp_path: Path) -> None:
    theirs, ours = certified(tmp_path)
    with listening(theirs) as port:
        known = client(port, host="localhost", tls=ours)
        other = Client(exceptions=Exceptions([f"127.0.0.1:{port}"]), tls=ours)

        assert known.post(f"https://localhost:{port}/in", b"{}", headers={}).is_success
        with pytest.raises(OutboundError):
            other.post(f"https://127.0.0.1:{port}/in", b"{}", headers={})
        with pytest.raises(OutboundError):
            client(port, host="localhost").post(f"https://localhost:{port}/in", b"", headers={})


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server that is `localhost`, and what trusts its certificate alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 -- a certificate is of the real day
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    written = folder / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    written.write_bytes(private + built.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(written)
    trusting = ssl.create_default_context(cadata=built.public_bytes(Encoding.PEM).decode())
    return server, trusting
