"""The synchronous HTTP client: checked addresses, no redirects, a deadline for the whole exchange."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from threading import Event, Timer

import certifi

from attribution.outbound import addresses
from attribution.outbound.addresses import AddressError, Exceptions, Origin

CONNECT = timedelta(seconds=5)
TOTAL = timedelta(seconds=15)
MOST = 4096  # bytes of an answer that are read: nobody here needs more


class OutboundError(OSError):
    """A request that got no answer; the text tells nothing of what stands where in the network."""

    code = "unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side answered; `body` is its beginning."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Say whether it took what was sent."""
        return 200 <= self.status < 300


class Client:
    """Sends one request per connection; every connection is resolved and checked anew."""

    def __init__(
        self,
        *,
        exceptions: Exceptions = addresses.NO_EXCEPTIONS,
        tls: ssl.SSLContext | None = None,
        total: timedelta = TOTAL,
    ) -> None:
        """Keep the operator's exceptions, the certificates to trust and the deadline."""
        self._exceptions = exceptions
        self._tls = tls or trusted()
        self._total_s = total.total_seconds()

    def post(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        """Send a body and return the answer; raise OutboundError when there is none in time."""
        try:
            origin, path = addresses.parted(url)
            with self._connected(origin) as connection:
                own = {"Host": origin.authority, "Accept-Encoding": "identity"}
                connection.request("POST", path, body, {**headers, **own})
                response = connection.getresponse()
                answer = Answer(response.status, response.read(MOST))
        except (OSError, AddressError, UnicodeError, http.client.HTTPException) as error:
            raise OutboundError("The address cannot be reached.") from error
        return answer

    @contextlib.contextmanager
    def _connected(self, origin: Origin) -> Iterator[http.client.HTTPConnection]:
        """Connect to the first address that answers; cut the line at the deadline."""
        addresses.check_origin(origin, self._exceptions)
        found = _resolved(origin)
        addresses.check_addresses(origin, found, self._exceptions)
        line = self._wrapped(_first(found, origin.port), origin)
        late = Event()
        watch = Timer(self._total_s, _cut, [line, late])
        watch.daemon = True
        watch.start()
        try:
            if isinstance(line, ssl.SSLSocket):
                line.do_handshake()
            connection = http.client.HTTPConnection(origin.host, origin.port)
            connection.sock = line
            yield connection
            if late.is_set():  # to http.client a cut reads like the end of an answer
                raise TimeoutError("the answer took too long")
        finally:
            watch.cancel()
            line.close()

    def _wrapped(self, line: socket.socket, origin: Origin) -> socket.socket:
        """Speak TLS where the origin does; the handshake is the watched caller's."""
        line.settimeout(self._total_s)
        if not origin.is_tls:
            return line
        return self._tls.wrap_socket(
            line, server_hostname=origin.host, do_handshake_on_connect=False
        )


def trusted() -> ssl.SSLContext:
    """Return a context that verifies host names against certifi and the system's store."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _resolved(origin: Origin) -> list[str]:
    """Return the addresses of the host, each once, in the resolver's order."""
    try:
        return [str(ip_address(origin.host))]
    except ValueError:
        found = socket.getaddrinfo(origin.host, origin.port, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _first(found: list[str], port: int) -> socket.socket:
    """Connect to the first address that answers, and to no other host than was checked."""
    last: OSError = OSError("no address")
    for address in found:
        try:
            line = socket.create_connection((address, port), timeout=CONNECT.total_seconds())
        except OSError as error:
            last = error
            continue
        if ip_address(line.getpeername()[0]) != ip_address(address):
            line.close()
            raise AddressError("Another address answered.")
        return line
    raise last


def _cut(line: socket.socket, late: Event) -> None:
    """End an exchange that takes too long, whatever the other side still drips."""
    late.set()
    with contextlib.suppress(OSError):  # it has ended meanwhile
        # past SSLSocket, which would forget its session under the hands of the reader
        socket.socket.shutdown(line, socket.SHUT_RDWR)
