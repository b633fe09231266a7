"""Which addresses the house may reach: the list of SECURITY §5, and the operator's exceptions."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

# Our own list: the flags of `ipaddress` differ between patch releases of Python.
V4 = [
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
V6 = [ip_network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
UNICAST = ip_network("2000::/3")

# Instance metadata of the clouds: no operator's entry opens these.
METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254"))
)


class AddressError(ValueError):
    """An address or origin that may not be reached. The text tells a client nothing more."""

    code = "upstream_unreachable"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call goes: scheme, host and port, nothing that a client wrote."""

    scheme: str
    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        """Tell whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Return the value of the Host header: the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.is_tls else 80
        return host if self.port == usual else f"{host}:{self.port}"


def parted(url: str) -> tuple[Origin, str]:
    """Return origin and path with query of an address; raise AddressError for what is none."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii").lower()
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise AddressError("The address is not one.") from error
    if parts.scheme not in {"https", "http"} or not host or parts.username or parts.password:
        raise AddressError("The address must be http or https, with a host and without a user.")
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if parts.fragment or not (path.isascii() and path.isprintable()) or " " in path:
        raise AddressError("The address must end with its path.")
    return Origin(parts.scheme, host, port), path


def _pair(entry: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port`."""
    host, colon, port = entry.strip().rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{entry!r} is not host:port")
    return host.strip("[]").lower(), int(port)


class Exceptions:
    """The operator's `host:port` entries (TOLLKEEPER_EGRESS_ALLOW), literal and exact."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Read the entries; a malformed one raises ValueError."""
        self._pairs = frozenset(map(_pair, entries))

    def __contains__(self, origin: Origin) -> bool:
        """Tell whether an entry names this host and port."""
        return (origin.host, origin.port) in self._pairs


NO_EXCEPTIONS = Exceptions(())


def allowed(text: str) -> bool:
    """Tell whether an address is public.

    Of IPv6 only global unicast is: mapped, translated, local and multicast forms are refused,
    not unwrapped.
    """
    address = ip_address(text)
    if address.version == 4:
        return not any(address in network for network in V4)
    return address in UNICAST and not any(address in network for network in V6)


def check_origin(origin: Origin, exceptions: Exceptions) -> None:
    """Raise AddressError unless this origin may be called at all: https on 443, or an entry."""
    if origin in exceptions:
        return
    if origin.scheme != "https" or origin.port != 443:
        raise AddressError("Only https on port 443 may be reached.")


def check_addresses(origin: Origin, found: Iterable[str], exceptions: Exceptions) -> None:
    """Raise AddressError unless every address that the host resolved to may be reached."""
    addresses = list(found)
    if not addresses:
        raise AddressError("The host has no address.")
    for text in addresses:
        if is_metadata(text):
            raise AddressError("The host is an instance's metadata service.")
        if origin not in exceptions and not allowed(text):
            raise AddressError("The host's address is not public.")


def is_metadata(text: str) -> bool:
    """Tell whether this is a metadata service, also as an IPv6 form of its address."""
    address = ip_address(text.split("%", 1)[0])
    return address in METADATA or ip_address(int(address) & 0xFFFFFFFF) in METADATA
