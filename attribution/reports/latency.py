"""How long calls took: averages and percentiles per model, from histograms that merge by adding."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import DecimalField, F, Func, Q, QuerySet, RowRange, Sum, Window
from django.db.models.expressions import Combinable
from django.db.models.functions import Trunc

from attribution import calendar
from attribution.ledger.models import Facet, Grain, LatencyRollup, Rollup
from attribution.reports import spend, tiles
from attribution.reports.filters import Filters, Range

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
    chosen = filters.range
    grain = Grain.HOUR if chosen.is_hourly else Grain.DAY
    timed = _timed(filters, grain)
    kept = {row["value"] for row in _most_called(filters, models)}
    cut = interval(grain, chosen)
    steps = histogram(filters, finest=grain).filter(model__in=kept).annotate(interval=cut)
    p95 = percentiles(steps, ["interval", "model"], P95)
    rows = (
        timed.filter(value__in=kept)
        .annotate(interval=cut)
        .values("interval", "value")
        .annotate(counted=Sum("latency_calls"), waited=Sum("latency_sum_ms"))
        .order_by("interval", "value")
    )
    return [
        Latency(
            starts_at=instant(row["interval"], chosen),
            model=row["value"],
            calls=row["counted"],
            average_ms=Decimal(row["waited"]) / row["counted"],
            p95_ms=p95.get((row["interval"], row["value"])),
        )
        for row in rows
    ]


def interval(name: str, chosen: Range) -> Combinable:
    """Return the expression of the hour, or of the local day or month, that a rollup row is in."""
    if name == Grain.HOUR:
        return Trunc("bucket", "hour", tzinfo=chosen.zone)
    return tiles.local_date(name, chosen.zone)


def instant(starts: date, chosen: Range) -> datetime:
    """Return the instant at which an interval begins: an hour is one, a date names a local day."""
    return starts if isinstance(starts, datetime) else calendar.day_start(starts, chosen.zone)


def histogram(filters: Filters, *, finest: Grain = Grain.MONTH) -> QuerySet[LatencyRollup]:
    """Return how many calls of the range and the cost centers took how long."""
    rows = LatencyRollup.objects.filter(tiles.condition(filters.range, finest=finest))
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


def _timed(filters: Filters, finest: Grain) -> QuerySet[Rollup]:
    return spend.rows(filters, Facet.MODEL, finest=finest).filter(latency_calls__gt=0)


def _most_called(filters: Filters, models: int) -> QuerySet[Any, Any]:
    return (
        _timed(filters, Grain.MONTH)
        .values("value")
        .annotate(counted=Sum("latency_calls"))
        .order_by("-counted", "value")[:models]
    )
