"""A call, decided: who pays, where it may go, what it can cost at most."""

from dataclasses import dataclass, field
from decimal import Decimal

from attribution.prices.pricing import Rates
from gateway.proxy.bound import Bound
from gateway.proxy.bridge.money import Reservation
from gateway.proxy.protocols.wire import Asked, Format
from gateway.proxy.rate_limits.verdict import Verdict
from gateway.proxy.upstream.headers import Headers
from gateway.routes.targets import Target


@dataclass(frozen=True, slots=True)
class Fit:
    """What a call may be shortened for."""

    budgets: tuple[str, ...]  # that it may be fitted into
    ceiling: Rates
    wait_ms: int  # for calls under way


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
    fit: Fit | None = None  # it may be shortened to what budgets have left
    verdict: Verdict | None = None  # of its rate limits
    notes: Headers = field(default_factory=list)  # what its answer says beside
