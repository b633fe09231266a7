"""A call, decided: who pays, where it may go, what it can cost at most."""

from dataclasses import dataclass
from decimal import Decimal

from gateway.proxy.bound import Bound
from gateway.proxy.bridge.money import Reservation
from gateway.proxy.protocols.wire import Asked, Format
from gateway.routes.targets import Target


@dataclass(slots=True)
class Plan:
    """What the pump carries out."""

    id: str
    ms: int
    organization_id: str
    asked: Asked
    format: Format
    targets: list[Target]
    bounded: Bound
    hold: Decimal
    is_hard: bool
    reservation: Reservation
    client: dict[bytes, bytes]
    strip: frozenset[str]
    center: str | None
    is_enriched: bool
    is_amount_hidden: bool
    max_output: int | None  # the limit to send, None leaves the client's own
