"""One request as the door hands it on, and what a process answers it with."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.proxy.caller import Caller, Callers
from gateway.proxy.fleet import Pumps
from gateway.proxy.rate_limits.limits import RateLimits


@dataclass(slots=True)
class Gateway:
    """What one process serves calls with."""

    callers: Callers
    pumps: Pumps
    limits: RateLimits
    fingerprint_secret: bytes
    asks_per_minute: int | None = None


@dataclass(slots=True)
class Incoming:
    """One request: its id, who calls, its headers (single, lower case) and its body."""

    id: str
    ms: int
    token: str
    caller: Caller
    headers: dict[bytes, bytes]
    body: bytes
    ip: str | None
    path: Mapping[str, str] | None = None  # variables of the URL, and `alt` of its query
