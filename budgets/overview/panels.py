"""The charts of the Overview: reports turned into series and the equal tables."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext

from attribution import calendar
from attribution.dashboards import charts
from attribution.dashboards.charts import Chart, Column, Kind, Series, Shape, Table
from attribution.dashboards.scene import Scene
from attribution.reports import latency, spend
from attribution.reports.filters import Range
from attribution.reports.latency import Latency
from attribution.templatetags.tollkeeper import axis_text
from budgets.limits.models import Scope
from budgets.overview import gauges
from budgets.overview.gauges import Gauge

ZERO = Decimal(0)
SLICES = 6
MODELS = 3
HOURLY_DAYS = 7


def daily(scene: Scene, days: list[spend.DayCost], budgets: list[Gauge]) -> Chart:
    """Return cost per day, stacked by cost center, with the pace that the month's budgets allow."""
    dates = scene.filters.range.days
    costs = {(row.day, row.cost_center_id): row.cost for row in days}
    centers = _in_order(scene, spend.by_cost_center(days))
    series = [
        Series(
            label=scene.code(center),
            values=tuple(costs.get((day, center), ZERO) for day in dates),
            hue=scene.hue(center),
            url=scene.url(center),
        )
        for center in centers
    ]
    ahead = _ahead(scene, days, budgets, dates)
    return Chart(
        name="daily",
        title=gettext("Cost per day by cost center"),
        unit="USD",
        shape=Shape.STACKED,
        labels=tuple(axis_text(day) for day in dates),
        series=(*series, *ahead, *_pace(scene, budgets, dates)) if series else (),
        table=_daily_table(dates, series, ahead),
        shaded=charts.weekends(dates),
        texts={"total": gettext("Total")},
    )


def share(scene: Scene, days: list[spend.DayCost]) -> Chart:
    """Return the share of each cost center in the range; at most six slices."""
    costs = {center: cost for center, cost in spend.by_cost_center(days).items() if cost}
    total = sum(costs.values(), start=ZERO)
    largest = dict(list(costs.items())[: SLICES if len(costs) <= SLICES else SLICES - 1])
    slices = [
        Series(scene.code(c), (cost,), scene.hue(c), url=scene.url(c), share=cost / total)
        for c, cost in largest.items()
    ]
    rest = total - sum(largest.values(), start=ZERO)
    if rest:
        slices.append(Series(gettext("Other"), (rest,), share=rest / total))
    return Chart(
        name="share",
        title=gettext("Share by cost center"),
        unit="USD",
        shape=Shape.DOUGHNUT,
        labels=tuple(one.label for one in slices),
        series=tuple(slices),
        table=Table(
            (
                Column("cost_center", gettext("Cost center")),
                Column("cost_usd", gettext("Cost (USD)"), Kind.MONEY),
                Column("share", gettext("Share"), Kind.PERCENT),
            ),
            tuple((scene.code(c), cost, cost / total) for c, cost in costs.items()),
            (gettext("Total"), total, Decimal(1) if total else None),
        ),
    )


def model_latency(scene: Scene) -> Chart:
    """Return average and p95 latency of the most called models, per hour or day."""
    chosen = scene.filters.range.until(scene.today)
    chosen = chosen.last_days(HOURLY_DAYS) if chosen.is_hourly else chosen
    rows = latency.by_model(replace(scene.filters, range=chosen), models=MODELS)
    moments = sorted({row.starts_at for row in rows})
    series = _latency_series(rows, moments)
    return Chart(
        name="latency",
        title=_latency_title(scene, chosen),
        unit="ms",
        shape=Shape.LINES,
        labels=tuple(_moment(moment, is_hourly=chosen.is_hourly) for moment in moments),
        series=tuple(series),
        table=_latency_table(rows),
        is_logarithmic=_differ_tenfold(series),
    )


def _latency_title(scene: Scene, chosen: Range) -> str:
    if not chosen.is_hourly:
        return gettext("Latency by model per day")
    if chosen.first == scene.filters.range.first:
        return gettext("Latency by model per hour")
    return gettext("Latency by model per hour, last 7 days")


def _latency_series(rows: list[Latency], moments: list[datetime]) -> list[Series]:
    """Return two lines a model, the most called first: the average solid, the p95 dashed."""
    at = {(row.model, row.starts_at): row for row in rows}
    models = sorted({row.model for row in rows}, key=lambda m: (-_calls(rows, m), m))
    series = []
    for hue, model in zip("123", models, strict=False):
        found = [at.get((model, moment)) for moment in moments]
        average = tuple(charts.tenths(row.average_ms) if row else None for row in found)
        p95 = tuple(charts.tenths(row.p95_ms) if row and row.p95_ms else None for row in found)
        label = gettext("%(model)s, average") % {"model": model}
        series.append(Series(label, average, hue, is_line=True))
        label = gettext("%(model)s, p95") % {"model": model}
        series.append(Series(label, p95, hue, is_line=True, is_dashed=True))
    return series


def _in_order(scene: Scene, costs: Mapping[UUID | None, Decimal]) -> list[UUID | None]:
    """Return cost centers in their fixed order, unattributed calls last."""
    known: list[UUID | None] = [center for center in scene.centers if center in costs]
    return known + [center for center in costs if center not in scene.centers]


def _pace(scene: Scene, budgets: list[Gauge], dates: tuple[date, ...]) -> list[Series]:
    month = gauges.together(budgets)
    if month is None:
        return []
    values = tuple(month.standing.limit / _days_of_month(day) for day in dates)
    label = gettext("budget pace")
    return [Series(label, values, hue="pace", is_dashed=True, is_line=True)]


def _ahead(
    scene: Scene, days: list[spend.DayCost], budgets: list[Gauge], dates: tuple[date, ...]
) -> list[Series]:
    """Return what days of the range are still expected to cost, where one budget covers all of it."""
    month = gauges.together(budgets)
    if month is None or not month.forecast or not _is_all(scene, month):
        return []
    spent = sum((row.cost for row in days if row.day == scene.today), start=ZERO)
    expected = {step.day: step.expected for step in month.forecast.ahead}
    expected[scene.today] = max(ZERO, expected.get(scene.today, ZERO) - spent)
    values = tuple(expected.get(day) for day in dates)
    if not any(values):
        return []
    return [Series(gettext("still expected"), values, hue=charts.OTHER, is_hatched=True)]


def _is_all(scene: Scene, month: Gauge) -> bool:
    """Say whether a budget covers just what the page looks at."""
    chosen = scene.filters.cost_center_ids
    if month.scope == Scope.ORGANIZATION:
        return chosen is None
    return month.centers >= set(scene.centers if chosen is None else chosen)


def _days_of_month(day: date) -> int:
    first = calendar.month_start(day)
    return (calendar.add_months(first, 1) - first).days


def _daily_table(dates: tuple[date, ...], series: list[Series], ahead: list[Series]) -> Table:
    rows = []
    for n, day in enumerate(dates):
        cells = [one.values[n] for one in series]
        cost = sum((c for c in cells if c is not None), start=ZERO)
        rows.append((day, *cells, cost, *(one.values[n] for one in ahead)))
    totals = [one.total for one in series]
    return Table(
        (
            Column("day", gettext("Day"), Kind.DAY),
            *(Column(one.label, one.label, Kind.MONEY) for one in series),
            Column("total_usd", gettext("Total (USD)"), Kind.MONEY),
            *(
                Column("still_expected_usd", gettext("Still expected (USD)"), Kind.MONEY)
                for _ in ahead
            ),
        ),
        tuple(reversed(rows)),
        (None, *totals, sum(totals, start=ZERO), *(one.total for one in ahead)),
    )


def _latency_table(rows: list[Latency]) -> Table:
    return Table(
        (
            Column("starts_at", gettext("From"), Kind.INSTANT),
            Column("model", gettext("Model")),
            Column("calls", gettext("Calls"), Kind.COUNT),
            Column("average_ms", gettext("Average (ms)"), Kind.MILLISECONDS),
            Column("p95_ms", gettext("p95 (ms)"), Kind.MILLISECONDS),
        ),
        tuple(
            (
                row.starts_at,
                row.model,
                row.calls,
                charts.tenths(row.average_ms),
                charts.tenths(row.p95_ms) if row.p95_ms is not None else None,
            )
            for row in reversed(rows)
        ),
    )


def _calls(rows: list[Latency], model: str) -> int:
    return sum(row.calls for row in rows if row.model == model)


def _differ_tenfold(series: list[Series]) -> bool:
    values = [value for one in series for value in one.values if value]
    return bool(values) and max(values) > 10 * min(values)


def _moment(moment: datetime, *, is_hourly: bool) -> str:
    local = timezone.localtime(moment)
    return f"{axis_text(local)} {local:%H:%M}" if is_hourly else axis_text(local)
