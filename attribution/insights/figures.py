"""The chart of an anomaly: what its series cost, what was expected, and how far it may differ."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext

from attribution.dashboards import charts
from attribution.dashboards.charts import Chart, Column, Kind, Series, Shape, Table
from attribution.insights import detection
from attribution.insights.models import Anomaly, Granularity
from attribution.insights.spans import Finding
from attribution.templatetags.tollkeeper import axis_text

ZERO = Decimal(0)
# how much is shown before and after the anomaly
AROUND = {
    Granularity.DAY.value: (timedelta(days=28), timedelta(days=7)),
    Granularity.HOUR.value: (timedelta(hours=36), timedelta(hours=12)),
}


def chart(row: Anomaly, *, zone: ZoneInfo, at: datetime) -> Chart:
    """Return the series around an anomaly, its unusual days or hours marked."""
    found = around(row, zone=zone, at=at)
    is_hourly = row.granularity == Granularity.HOUR
    return Chart(
        name="series",
        title=gettext("Cost per hour") if is_hourly else gettext("Cost per day"),
        unit="USD",
        shape=Shape.STACKED,
        labels=tuple(_label(one.bucket.starts_at, is_hourly=is_hourly) for one in found),
        series=_series(row, found),
        table=table(row, found),
        shaded=() if is_hourly else charts.weekends([one.bucket.day for one in found]),
        texts={"total": gettext("Total")},
    )


def around(row: Anomaly, *, zone: ZoneInfo, at: datetime) -> list[Finding]:
    """Return the judged buckets that the chart shows."""
    before, after = AROUND[row.granularity]
    until = min(row.ends_at + after, max(at, row.ends_at))
    return detection.retrace(row, first=row.starts_at - before, until=until, zone=zone)


def table(row: Anomaly, found: list[Finding]) -> Table:
    """Return the same numbers as the chart."""
    return Table(
        (
            Column("starts_at", gettext("From"), Kind.INSTANT),
            Column("actual_usd", gettext("Actual (USD)"), Kind.MONEY),
            Column("expected_usd", gettext("Expected (USD)"), Kind.MONEY),
            Column("usual_from_usd", gettext("Usual from (USD)"), Kind.MONEY),
            Column("usual_to_usd", gettext("Usual to (USD)"), Kind.MONEY),
            Column("difference_usd", gettext("Difference (USD)"), Kind.MONEY),
            Column("is_unusual", gettext("In this anomaly")),
        ),
        tuple(
            (
                *(one.bucket.starts_at, one.actual, _expected(one), _low(one), _high(one)),
                one.actual - one.judgement.expected if one.judgement else None,
                gettext("yes") if _is_in(row, one) else gettext("no"),
            )
            for one in found
        ),
    )


def _series(row: Anomaly, found: list[Finding]) -> tuple[Series, ...]:
    usual = tuple(None if _is_in(row, one) else one.actual for one in found)
    unusual = tuple(one.actual if _is_in(row, one) else None for one in found)
    return (
        Series(gettext("in this anomaly"), unusual, "2"),
        Series(gettext("other"), usual, "1"),
        Series(gettext("expected"), tuple(map(_expected, found)), "pace", is_line=True),
        Series(
            gettext("usual up to"), tuple(map(_high, found)), "pace", is_line=True, is_dashed=True
        ),
        Series(
            gettext("usual from"), tuple(map(_low, found)), "pace", is_line=True, is_dashed=True
        ),
    )


def _is_in(row: Anomaly, one: Finding) -> bool:
    return row.starts_at <= one.bucket.starts_at < row.ends_at


def _expected(one: Finding) -> Decimal | None:
    return one.judgement.expected if one.judgement else None


def _low(one: Finding) -> Decimal | None:
    """Return the least that is usual; nothing costs less than nothing."""
    return max(ZERO, one.judgement.expected - one.judgement.limit) if one.judgement else None


def _high(one: Finding) -> Decimal | None:
    return one.judgement.expected + one.judgement.limit if one.judgement else None


def _label(at: datetime, *, is_hourly: bool) -> str:
    local = timezone.localtime(at)
    day = axis_text(local)
    return f"{day} {local:%H:%M}" if is_hourly else day
