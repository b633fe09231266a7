"""What was settled in the last minutes: where the Live page begins, and what it missed while it was away."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from attribution import money
from attribution.usage.models import TOKEN_CLASSES, CallState, UsageRecord
from gateway.live.events import Event, Filters

WINDOW = timedelta(minutes=15)
LONGEST = timedelta(minutes=15)  # a call may have begun so long before it was settled
BUCKET = 5  # seconds
MOST = 5_000  # calls that are looked at; the figures say from when on they count
ROWS = 50
OVERLAP = timedelta(seconds=10)  # calls that may also be told of by the stream
COLUMNS = (
    *("cost_center_id", "user_id", "path", "feature", "provider", "model_requested"),
    *("model_billed", "cost", "is_estimated", "occurred_at", "settled_at", "total_ms"),
    *(f"{name}_tokens" for name in TOKEN_CLASSES),
)


@dataclass(slots=True)
class Sum:
    """Calls and their cost, in one bucket of time."""

    calls: int = 0
    cost: Decimal = Decimal(0)
    unusual_calls: int = 0
    unusual_cost: Decimal = Decimal(0)

    def add(self, cost: Decimal | None, *, is_unusual: bool) -> None:
        """Add a call."""
        self.calls += 1
        self.cost += cost or 0
        if is_unusual:
            self.unusual_calls += 1
            self.unusual_cost += cost or 0


@dataclass(frozen=True, slots=True)
class Recent:
    """The last minutes."""

    since: datetime  # every call settled from here on is counted
    as_of: datetime
    sums: dict[int, Sum] = field(default_factory=dict)  # by second since 1970, in steps of BUCKET
    newest: list[Event] = field(default_factory=list)
    overlap: list[str] = field(default_factory=list)  # ids of calls settled just now


def read(
    filters: Filters,
    centers: Mapping[UUID, str],
    *,
    is_narrowed: bool,
    unusual_above: Decimal,
    at: datetime,
) -> Recent:
    """Return the calls settled in the last minutes; `centers` are the codes a person may look at."""
    calls = _calls(filters, centers, is_narrowed=is_narrowed, at=at)
    since = at - WINDOW
    if len(calls) == MOST:
        since = max(since, calls[-1].occurred_at)
    found = Recent(since, at)
    settled = [(call.settled_at, call) for call in calls if call.settled_at]
    settled.sort(key=lambda pair: pair[0], reverse=True)
    for when, call in settled:
        if when < since:
            break
        is_unusual = call.cost is not None and call.cost > unusual_above
        second = int(when.timestamp()) // BUCKET * BUCKET
        found.sums.setdefault(second, Sum()).add(call.cost, is_unusual=is_unusual)
        if len(found.newest) < ROWS:
            found.newest.append(_event(call, when, centers, is_unusual=is_unusual))
        if when > at - OVERLAP:
            found.overlap.append(str(call.pk))
    return found


def _calls(
    filters: Filters, centers: Mapping[UUID, str], *, is_narrowed: bool, at: datetime
) -> list[UsageRecord]:
    rows = UsageRecord.objects.between(at - WINDOW - LONGEST, at + timedelta(minutes=1))
    rows = rows.filter(state=CallState.SETTLED)
    if filters.cost_centers:
        asked = set(filters.cost_centers)
        rows = rows.filter(cost_center_id__in=[pk for pk, code in centers.items() if code in asked])
    elif is_narrowed:
        rows = rows.filter(cost_center_id__in=list(centers))
    if filters.models:
        names = list(filters.models)
        rows = rows.filter(Q(model_requested__in=names) | Q(model_billed__in=names))
    if filters.min_cost_usd is not None:
        rows = rows.filter(cost__gte=filters.min_cost_usd)
    return list(rows.only(*COLUMNS).order_by("-id")[:MOST])  # by its index, however many there are


def _event(
    call: UsageRecord, when: datetime, centers: Mapping[UUID, str], *, is_unusual: bool
) -> Event:
    """Return what the stream said of a call."""
    tokens = call.tokens
    return Event(
        timestamp=instant_text(when),
        request_id=str(call.pk),
        cost_center=centers.get(call.cost_center_id) if call.cost_center_id else None,
        user=call.user_id or None,
        path=call.path or None,
        feature=call.feature or None,
        model=call.model_requested,
        model_billed=call.model_billed or None,
        provider=call.provider or None,
        tokens=tokens | {"total": sum(tokens.values())},
        cost_usd=None if call.cost is None else money.text(call.cost),
        is_estimated=call.is_estimated,
        latency_ms=call.total_ms,
        anomaly=is_unusual,
    )


def instant_text(at: datetime) -> str:
    """Write an instant as events carry it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def steps(found: Recent, *, seconds: int) -> Iterable[tuple[datetime, Sum]]:
    """Yield the sums of longer steps, the oldest first, from the first that is whole to now."""
    first = -(-int(found.since.timestamp()) // seconds) * seconds
    for start in range(first, int(found.as_of.timestamp()) + 1, seconds):
        whole = Sum()
        for second in range(start, start + seconds, BUCKET):
            part = found.sums.get(second, Sum())
            whole.calls += part.calls
            whole.cost += part.cost
            whole.unusual_calls += part.unusual_calls
            whole.unusual_cost += part.unusual_cost
        yield datetime.fromtimestamp(start, UTC), whole
