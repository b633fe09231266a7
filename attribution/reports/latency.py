"""How long calls took: averages and percentiles per model, from histograms that merge by adding."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import DecimalField, F, Func, Q, QuerySet, RowRange, Sum, Window
from django.db.models.functions import Trunc

from attribution.ledger.models import Facet, LatencyRollup, Rollup
from attribution.reports.filters import Filters

STEP = Decimal("1.04")
HALF = Decimal("0.5")
P95 = Decimal("0.95")
COUNT = DecimalField(max_digits=24, decimal_places=2)


@dataclass(frozen=True, slots=True)
class Latency:
    """Average and 95th percentile of a model in one interval, in milliseconds."""

    starts_at: datetime
    model: str
    calls: int
    average_ms: Decimal
    p95_ms: Decimal | None


class RunningSum(Func):
    """SUM as a window function; Django's own Sum refuses to add up aggregates."""

    function = "SUM"
    window_compatible = True
    output_field = COUNT


def middle(step: int) -> Decimal:
    """Return the latency that stands for a step: its geometric middle, at most 2 % off.

    Step k counts latencies in (1.04^(k-1), 1.04^k] milliseconds, step 0 those up to 1 ms.
    """
    return STEP ** (Decimal(step) - HALF) if step > 0 else Decimal(1)


def by_model(filters: Filters, *, models: int) -> list[Latency]:
    """Return average and p95 per hour, or per day of a long range, of the most called models."""
    timed = _timed(filters)
    kept = {row["value"] for row in _most_called(timed, models)}
    kind = "hour" if filters.range.is_hourly else "day"
    interval = Trunc("bucket", kind, tzinfo=filters.range.zone)
    steps = histogram(filters).filter(model__in=kept).annotate(interval=interval)
    p95 = percentiles(steps, ["interval", "model"], P95)
    rows = (
        timed.filter(value__in=kept)
        .annotate(interval=interval)
        .values("interval", "value")
        .annotate(counted=Sum("latency_calls"), waited=Sum("latency_sum_ms"))
        .order_by("interval", "value")
    )
    return [
        Latency(
            starts_at=row["interval"],
            model=row["value"],
            calls=row["counted"],
            average_ms=Decimal(row["waited"]) / row["counted"],
            p95_ms=p95.get((row["interval"], row["value"])),
        )
        for row in rows
    ]


def histogram(filters: Filters) -> QuerySet[LatencyRollup]:
    """Return how many calls of the range and the cost centers took how long."""
    rows = LatencyRollup.objects.filter(
        bucket__gte=filters.range.starts_at, bucket__lt=filters.range.ends_at
    )
    chosen = filters.cost_center_ids
    return rows if chosen is None else rows.filter(cost_center_id__in=chosen)


def percentiles(
    rows: QuerySet[LatencyRollup], group: Sequence[str], share: Decimal
) -> dict[tuple[Any, ...], Decimal]:
    """Return, per group, the latency that this share of the calls did not exceed."""
    columns = [F(name) for name in group] or None
    earlier = RowRange(start=None, end=-1)
    found = (
        rows.values(*group, "step")
        .annotate(counted=Sum("calls"))
        .annotate(
            rank=Window(RunningSum(F("counted") * share), partition_by=columns),
            reached=Window(RunningSum("counted"), partition_by=columns, order_by="step"),
            before=Window(
                RunningSum("counted"), partition_by=columns, order_by="step", frame=earlier
            ),
        )
        .filter(Q(before__lt=F("rank")) | Q(before=None), reached__gte=F("rank"))
        .values(*group, "step")
    )
    return {tuple(row[name] for name in group): middle(row["step"]) for row in found}


def _timed(filters: Filters) -> QuerySet[Rollup]:
    rows = Rollup.objects.filter(
        facet=Facet.MODEL,
        bucket__gte=filters.range.starts_at,
        bucket__lt=filters.range.ends_at,
        latency_calls__gt=0,
    )
    chosen = filters.cost_center_ids
    return rows if chosen is None else rows.filter(cost_center_id__in=chosen)


def _most_called(timed: QuerySet[Rollup], models: int) -> QuerySet[Any, Any]:
    return (
        timed.values("value")
        .annotate(counted=Sum("latency_calls"))
        .order_by("-counted", "value")[:models]
    )
