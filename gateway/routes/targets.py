"""Where a call may go: upstreams and targets of a route, ready to be called and priced."""

import bisect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from attribution.outbound.addresses import Origin
from attribution.prices.listings import Listing
from attribution.prices.pricing import DatedCard
from gateway.upstreams import kinds
from gateway.upstreams.kinds import Kind, Speech

FOREVER_MS = 1 << 62


class UpstreamRow(msgspec.Struct):
    """An account at a provider, as the gateway's catalogue tells it."""

    id: str
    name: str
    kind: str
    base_url: str
    provider: str
    price_multiplier: str
    is_cost_reported: bool
    is_error_unbilled: bool
    connect_timeout_s: int
    idle_timeout_s: int
    total_timeout_s: int
    credential_version: int


@dataclass(slots=True)
class Upstream:
    """An upstream, ready to be called in some formats."""

    row: UpstreamRow
    kind: Kind
    speech: Speech
    origin: Origin
    prefix: str
    provider: str
    multiplier: Decimal

    @classmethod
    def speaking(cls, form: str, row: UpstreamRow) -> "Upstream | None":
        """Read address and kind; None for a kind that does not speak the format."""
        kind = kinds.KINDS[row.kind]
        speech = kind.speech(form)
        if speech is None:
            return None
        origin, path = kinds.address(row.kind, row.base_url)
        if kind.is_own(origin):  # its terms are known
            is_stated = row.is_cost_reported or kind.states_cost
            row = msgspec.structs.replace(row, is_error_unbilled=True, is_cost_reported=is_stated)
        provider, multiplier = row.provider or kind.provider, Decimal(row.price_multiplier)
        return cls(row, kind, speech, origin, kind.prefix(path, speech), provider, multiplier)


def _unlisted(_model: str) -> Listing | None:
    """Know no other model."""
    return None


@dataclass(slots=True)
class Target:
    """One place that may answer a call, and its price."""

    upstream: Upstream
    model: str
    position: int
    weight: int
    listing: Listing | None  # its rates are the upstream's: discount or markup included
    other: Callable[[str], Listing | None] = _unlisted  # what another model costs there
    _price: DatedCard | None = None
    _marks: tuple[int, ...] = ()  # input tokens above which `_price` has other rates, sorted
    _from_ms: int = 0  # from when until when `_price` is the answer
    _until_ms: int = 0

    def price_at(self, ms: int) -> DatedCard | None:
        """Return the price version in force at an instant; the answer is kept until prices change."""
        if not self._from_ms <= ms < self._until_ms:
            self._look_up(ms)
        return self._price

    def reached(self, tokens: int, ms: int) -> int:
        """Return how many context tiers a call of at most `tokens` may reach, over all schedules."""
        self.price_at(ms)
        return bisect.bisect_left(self._marks, tokens)

    def _look_up(self, ms: int) -> None:
        edges = self.listing.edges_ms() if self.listing else []
        self._from_ms = max((edge for edge in edges if edge <= ms), default=0)
        self._until_ms = min((edge for edge in edges if edge > ms), default=FOREVER_MS)
        self._price = self.listing.at(instant(ms)) if self.listing else None
        schedules = self._price.card.reach(None) if self._price else []
        self._marks = tuple(sorted(above for each in schedules for above, _ in each.tiers))


def instant(ms: int) -> datetime:
    """Return the time of a number of milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)
