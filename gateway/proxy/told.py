"""What the live stream is told of a settled call."""

from datetime import UTC, datetime, timedelta

from attribution.prices.tokens import FIELDS
from gateway.live.events import Event
from gateway.proxy.bridge.money import Reservation, Settlement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = tuple((name, f"{name}_tokens") for name in FIELDS)


def event(reservation: Reservation, settlement: Settlement, center: str | None, ms: int) -> Event:
    """Return the event of a call that began at `ms`; made only for those who listen."""
    tokens = {name: count for name, column in _COLUMNS if (count := getattr(settlement, column))}
    tokens["total"] = sum(tokens.values())
    ended = _EPOCH + timedelta(milliseconds=ms + (settlement.total_ms or 0))
    return Event(
        timestamp=ended.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        request_id=settlement.id,
        cost_center=center,
        user=reservation.user_id,
        path=reservation.path,
        feature=reservation.feature,
        model=reservation.model_requested,
        model_billed=settlement.model_billed,
        provider=settlement.provider,
        tokens=tokens,
        cost_usd=settlement.cost,
        is_estimated=settlement.is_estimated,
        latency_ms=settlement.total_ms,
    )
