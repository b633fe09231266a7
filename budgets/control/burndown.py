"""The burn-down of a budget period: its cost so far, its limit as it was, the even pace, the forecast."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.utils.translation import gettext

from attribution import calendar
from attribution.dashboards import charts
from attribution.dashboards.charts import Chart, Column, Kind, Series, Shape, Table
from attribution.templatetags.tollkeeper import axis_text
from budgets.control import history
from budgets.control.spending import Window
from budgets.forecasts import series
from budgets.forecasts.outlooks import Outlook
from budgets.limits.amounts import BudgetOverride, LimitVersion

ZERO = Decimal(0)
CENT = Decimal("0.01")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Amounts:
    """What the limit was set to, and what was added to it for a while."""

    versions: Sequence[LimitVersion]
    overrides: Sequence[BudgetOverride]


@dataclass(frozen=True, slots=True)
class Burn:
    """A day of the period: what it cost, the cost until its end, the limit and pace then."""

    day: date
    cost: Decimal | None
    cumulative: Decimal | None
    limit: Decimal
    pace: Decimal
    expected: Decimal | None


def days_of(window: Window, outlook: Outlook, amounts: Amounts, *, at: datetime) -> list[Burn]:
    """Return the days of the period in order; the running day ends where the budget stands now."""
    days, end = window.days.days, window.standing.ends_at
    today = calendar.local_day(min(at, end - timedelta(microseconds=1)), window.zone)
    costs = _costs(window, today)
    limits = _limits(window, days, amounts, at)
    ahead = {step.day: step.cumulative for step in outlook.ahead} if at < end else {}
    found: list[Burn] = []
    sum_so_far = ZERO
    for number, day in enumerate(days, start=1):
        is_past = day <= today
        before, sum_so_far = sum_so_far, sum_so_far + costs.get(day, ZERO)
        if day == today:
            sum_so_far = window.standing.actual
        pace = (limits[-1] * number / len(days)).quantize(CENT, ROUND_HALF_EVEN)
        found.append(
            Burn(
                day,
                sum_so_far - before if is_past else None,
                sum_so_far if is_past else None,
                limits[number - 1],
                pace,
                ahead.get(day),
            )
        )
    return found


def chart(burns: Sequence[Burn], outlook: Outlook) -> Chart:
    """Return the burn-down as a chart with its table."""
    lines = [
        _line(gettext("spent and uncertain, added up"), [b.cumulative for b in burns], "1"),
        _line(gettext("limit"), [b.limit for b in burns], "2"),
        _line(gettext("even pace"), [b.pace for b in burns], "pace", is_dashed=True),
    ]
    if any(b.expected is not None for b in burns):
        label = gettext("forecast (p50)")
        lines.append(_line(label, [b.expected for b in burns], "1", is_dashed=True))
        lines += _interval(burns, outlook)
    return Chart(
        name="daily",
        title=gettext("Burn-down: cost since the period began"),
        unit="USD",
        shape=Shape.LINES,
        labels=tuple(axis_text(b.day) for b in burns),
        series=tuple(lines),
        table=table(burns),
        shaded=charts.weekends(b.day for b in burns) if len(burns) <= 62 else (),
    )


def table(burns: Sequence[Burn]) -> Table:
    """Return the days as rows."""
    return Table(
        (
            Column("day", gettext("Day"), Kind.DAY),
            Column("cost_usd", gettext("Cost (USD)"), Kind.MONEY),
            Column("cumulative_usd", gettext("Since the beginning (USD)"), Kind.MONEY),
            Column("limit_usd", gettext("Limit (USD)"), Kind.MONEY),
            Column("pace_usd", gettext("Even pace (USD)"), Kind.MONEY),
            Column("forecast_usd", gettext("Forecast (USD)"), Kind.MONEY),
        ),
        tuple((b.day, b.cost, b.cumulative, b.limit, b.pace, b.expected) for b in burns),
    )


def _interval(burns: Sequence[Burn], outlook: Outlook) -> list[Series]:
    """Return p10 and p90 as lines from what is expected of today to the end of the period."""
    p50 = outlook.p50
    if outlook.p10 is None or outlook.p90 is None or p50 is None:
        return []
    steps = [n for n, burn in enumerate(burns) if burn.expected is not None]
    lines = []
    for name, end in (("p10", outlook.p10), ("p90", outlook.p90)):
        values: list[Decimal | None] = [None] * len(burns)
        for count, n in enumerate(steps):
            expected = burns[n].expected or ZERO
            apart = (end - p50) * count / max(1, len(steps) - 1)
            values[n] = max(ZERO, expected + apart).quantize(CENT, ROUND_HALF_EVEN)
        lines.append(_line(name, values, charts.OTHER, is_dashed=True))
    return lines


def _line(
    label: str, values: Sequence[Decimal | None], hue: str, *, is_dashed: bool = False
) -> Series:
    return Series(label, tuple(values), hue, is_dashed=is_dashed, is_line=True)


def _costs(window: Window, today: date) -> dict[date, Decimal]:
    found = series.source(window.budget, zone=window.zone, home=window.home)
    used = series.daily(found, end=today + DAY)
    return {used.history.first + n * DAY: cost for n, cost in enumerate(used.history.costs)}


def _limits(window: Window, days: Sequence[date], amounts: Amounts, at: datetime) -> list[Decimal]:
    """Return the limit at the end of each day; of the running one, the limit of now."""
    ends = [calendar.day_start(day + DAY, window.zone) - timedelta(microseconds=1) for day in days]
    found = history.limits(window.standing, amounts.versions, amounts.overrides, ends)
    running = (n for n, end in enumerate(ends) if at <= end)
    is_running = window.standing.starts_at <= at < window.standing.ends_at
    if is_running and (today := next(running, None)) is not None:
        found[today] = window.standing.limit
    return found
