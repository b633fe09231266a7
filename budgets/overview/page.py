"""Everything that the Overview shows, in one value that its template reads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext, ngettext

from attribution import calendar
from attribution.dashboards import frame
from attribution.dashboards.charts import Table
from attribution.dashboards.scene import Scene
from attribution.ledger import rollups
from attribution.reports import spend
from attribution.reports.filters import Range, named
from attribution.reports.spend import Totals
from attribution.templatetags.tollkeeper import (
    compact,
    count,
    day_text,
    decimal,
    month_text,
    share_text,
)
from budgets.forecasts.outlooks import Outlook
from budgets.overview import finding, gauges, panels, tables
from budgets.overview.gauges import Gauge

STALE = timedelta(seconds=30)
MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Kpi:
    """A key figure: what it is, its value, and what it is to be compared with."""

    label: str
    value: Decimal | int
    note: str
    is_money: bool = True


def build(scene: Scene) -> dict[str, Any]:
    """Return what the template shows, every figure read once."""
    filters = scene.filters
    as_of = rollups.advanced_at()
    budgets = gauges.running(filters, at=scene.at)
    whole = gauges.together(budgets)
    days = spend.by_day(filters)
    month = spend.totals(scene.month)
    return {
        "filters": filters,
        "as_of": as_of,
        "is_stale": is_stale(scene, as_of),
        "stamp": stamp(scene),
        "finding": finding.sentence(
            budgets, month=month_text(scene.today), spent=month.cost, at=scene.at
        ),
        "kpis": _kpis(scene, month, whole),
        "budgets": budgets,
        "whole": whole if len(budgets) > 1 else None,
        "parts": [b for b in budgets if b is not whole or len(budgets) == 1],
        "daily": panels.daily(scene, days, budgets),
        "share": panels.share(scene, days),
        "latency": panels.model_latency(scene),
        "utilisation": tables.utilisation(budgets),
        "users": tables.users(scene),
        "calls": tables.latest(scene),
        **(_way_back(scene) if not days else {}),
    } | _frame(scene)


PANELS: dict[str, Callable[[Scene], Table]] = {
    "daily": lambda scene: (
        panels.daily(
            scene, spend.by_day(scene.filters), gauges.running(scene.filters, at=scene.at)
        ).table
    ),
    "share": lambda scene: panels.share(scene, spend.by_day(scene.filters)).table,
    "budgets": lambda scene: tables.utilisation(gauges.running(scene.filters, at=scene.at)),
    "latency": lambda scene: panels.model_latency(scene).table,
    "users": tables.users,
    "calls": tables.latest,
}


def stamp(scene: Scene) -> str:
    """Return a word that changes when the figures of today do, or the newest call."""
    today = named("today", today=scene.today, zone=scene.filters.range.zone)
    sums = spend.totals(replace(scene.filters, range=today))
    return f"{sums.calls}-{sums.cost}-{sums.uncertain}-{sums.tokens}-{tables.newest(scene)}"


def is_stale(scene: Scene, as_of: datetime | None) -> bool:
    """Say whether calls may be missing because the rollups stand still."""
    return as_of is None or scene.at - as_of > STALE


def _way_back(scene: Scene) -> dict[str, str]:
    """Return the button that leads from an empty range to the month of the newest call."""
    newest = spend.last_day(scene.filters)
    if newest is None:
        return {}
    first = calendar.month_start(newest)
    zone = scene.filters.range.zone
    month = Range("custom", first, calendar.add_months(first, 1), zone)
    url = f"?{replace(scene.filters, range=month).urlencode()}"
    return {"back": gettext("Show %(month)s") % {"month": month_text(first)}, "back_url": url}


def _frame(scene: Scene) -> dict[str, Any]:
    """Return the filters' labels and addresses, and what stands where nothing is yet."""
    filters = scene.filters
    query = filters.urlencode()
    return {
        **frame.build(scene),
        "csv": {p: f"{reverse('budgets:overview-download', args=[p])}?{query}" for p in PANELS},
        "tables": {p: f"{reverse('budgets:overview-table', args=[p])}?{query}" for p in PANELS},
        "stamp_url": f"{reverse('budgets:overview-stamp')}?{query}",
        "empty_title": gettext("No call in this range"),
        "empty_text": gettext("Choose a longer range or more cost centers, or send a call."),
        "latency_title": gettext("No call in this range has a latency"),
        "latency_text": gettext("Calls made elsewhere have one when their report says it."),
        "first_call": gettext(
            "A call stands here within two seconds of its answer. Point a program at the gateway:"
        ),
        "example": f'client = OpenAI(base_url="{settings.TOLLKEEPER_API_URL}/v1", api_key="tk_live_…")',
        "budgets_caption": gettext("Budgets in use now"),
        "users_caption": gettext("The 20 users that cost most"),
        "calls_caption": gettext("Newest calls"),
    }


def _kpis(scene: Scene, month: Totals, whole: Gauge | None) -> list[Kpi]:
    now = spend.totals(scene.filters)
    limit = whole.standing.limit if whole else None
    expected = _expected(scene, whole)
    return [
        Kpi(
            gettext("Spent in %(month)s") % {"month": month_text(scene.today)},
            month.cost,
            _against(month.cost, limit),
        ),
        *expected,
        Kpi(
            gettext("Spent: %(range)s") % {"range": frame.range_label(scene.filters.range)},
            now.cost,
            _compared(scene, now.cost),
        ),
        *_open(tables.held(scene), now.uncertain, is_short=bool(expected)),
        Kpi(gettext("Calls"), now.calls, _tokens(now.tokens), is_money=False),
        Kpi(gettext("Unpriced calls"), now.unpriced_calls, _unpriced(now), is_money=False),
    ]


def _expected(scene: Scene, whole: Gauge | None) -> list[Kpi]:
    """Return what the month will have cost, with how sure that is."""
    forecast = whole.forecast if whole else None
    if forecast is None or forecast.p50 is None:
        return []
    label = gettext("Forecast for %(month)s") % {"month": month_text(scene.today)}
    return [Kpi(label, forecast.p50, _sure(forecast))]


def _open(held: Decimal, uncertain: Decimal, *, is_short: bool) -> list[Kpi]:
    """Return what calls keep; as one figure where six are enough."""
    if is_short:
        note = gettext("for open calls; uncertain: %(amount)s") % {"amount": compact(uncertain)}
        return [Kpi(gettext("Held"), held, note)]
    return [
        Kpi(gettext("Held"), held, gettext("for calls that are open now")),
        Kpi(gettext("Uncertain"), uncertain, gettext("charged until the truth arrives")),
    ]


def _sure(forecast: Outlook) -> str:
    if forecast.p10 is None or forecast.p90 is None:
        parts = []
    else:
        ends = {"low": compact(forecast.p10), "high": compact(forecast.p90)}
        parts = [gettext("likely %(low)s to %(high)s") % ends]
    if forecast.method:
        parts.append(forecast.method_name)
    if forecast.through_on:
        day = {"day": day_text(forecast.through_on)}
        parts.append(gettext("data through %(day)s") % day)
    return " · ".join(parts) or gettext("of all budgets together")


def _against(spent: Decimal, limit: Decimal | None) -> str:
    if not limit:
        return gettext("no budget covers the month")
    facts = {"share": share_text(spent / limit), "limit": decimal(limit, places=2)}
    return gettext("%(share)s of %(limit)s USD") % facts


def _compared(scene: Scene, cost: Decimal) -> str:
    chosen = scene.filters.range.until(scene.today)
    length = chosen.end - chosen.first
    before = Range("custom", chosen.first - length, chosen.first, chosen.zone)
    past = spend.totals(replace(scene.filters, range=before)).cost
    if not past:
        return gettext("nothing to compare with before")
    change = (cost / past - 1).quantize(Decimal("0.001"))
    sign = f"▲{NARROW}+" if change > 0 else f"▼{NARROW}{MINUS}" if change else ""
    facts = {"change": f"{sign}{share_text(abs(change))}"}
    text = ngettext(
        "%(change)s vs the previous %(days)s day",
        "%(change)s vs the previous %(days)s days",
        length.days,
    )
    return text % {**facts, "days": length.days}


def _tokens(tokens: int) -> str:
    return gettext("%(tokens)s tokens") % {
        "tokens": compact(Decimal(tokens)) if tokens >= 10_000 else count(tokens)
    }


def _unpriced(now: Totals) -> str:
    if now.unpriced_calls:
        return gettext("no price is known; not in the amounts")
    return gettext("every call has a price")
