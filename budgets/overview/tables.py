"""The tables of the Overview: budgets, users, newest calls."""

from decimal import Decimal

from django.db.models import QuerySet, Sum
from django.utils.translation import gettext, ngettext

from attribution.dashboards import charts
from attribution.dashboards.charts import Column, Kind, Table
from attribution.dashboards.scene import Scene
from attribution.exports.sheets import Cell
from attribution.reports import spend
from attribution.usage.models import CallState, UsageRecord
from budgets.forecasts.outlooks import Outlook
from budgets.overview.gauges import Gauge

ZERO = Decimal(0)
USERS = 20
CALLS = 10


def utilisation(budgets: list[Gauge]) -> Table:
    """Return how the running budgets stand, and what is known of their future."""
    return Table(
        (
            Column("budget", gettext("Budget")),
            Column("covers", gettext("Covers")),
            Column("limit_usd", gettext("Limit (USD)"), Kind.MONEY),
            Column("spent_usd", gettext("Spent (USD)"), Kind.MONEY),
            Column("held_usd", gettext("Held (USD)"), Kind.MONEY),
            Column("uncertain_usd", gettext("Uncertain (USD)"), Kind.MONEY),
            Column("remaining_usd", gettext("Remaining (USD)"), Kind.MONEY),
            Column("used", gettext("Used"), Kind.PERCENT),
            Column("ends_at", gettext("Ends"), Kind.INSTANT),
            Column("forecast_usd", gettext("Forecast (USD)"), Kind.MONEY),
            Column("p10_usd", gettext("p10 (USD)"), Kind.MONEY),
            Column("p90_usd", gettext("p90 (USD)"), Kind.MONEY),
            Column("variance_usd", gettext("Forecast less limit (USD)"), Kind.MONEY),
            Column("variance", gettext("Forecast less limit"), Kind.PERCENT),
            Column("exhausted_on", gettext("Used up on"), Kind.DAY),
            Column("method", gettext("Method")),
            Column("data_through", gettext("Data through"), Kind.DAY),
            Column("mape", gettext("Mean error"), Kind.PERCENT),
            Column("coverage", gettext("Within p10 to p90"), Kind.PERCENT),
        ),
        tuple(
            (
                *(gauge.name, gauge.scope_name),
                *(gauge.standing.limit, gauge.standing.spent, gauge.standing.held),
                *(gauge.standing.uncertain, gauge.standing.remaining),
                *(gauge.share, gauge.standing.ends_at),
                *_ahead(gauge.outlook),
            )
            for gauge in budgets
        ),
    )


def _ahead(outlook: Outlook | None) -> tuple[Cell, ...]:
    if outlook is None:
        return (None,) * 10
    return (
        *(outlook.p50, outlook.p10, outlook.p90, outlook.variance, outlook.variance_share),
        *(outlook.exhausted_on, outlook.method_name or outlook.status_name),
        *(outlook.through_on, outlook.mape, outlook.coverage),
    )


def users(scene: Scene) -> Table:
    """Return the users that cost most, with calls, tokens and average latency."""
    rows = spend.top_users(scene.filters, limit=USERS)
    return Table(
        (
            Column("user", gettext("User")),
            Column("cost_center", gettext("Cost center")),
            Column("calls", gettext("Calls"), Kind.COUNT),
            Column("tokens", gettext("Tokens"), Kind.COUNT),
            Column("cost_usd", gettext("Cost (USD)"), Kind.MONEY),
            Column("average_latency_ms", gettext("Average latency (ms)"), Kind.MILLISECONDS),
        ),
        tuple(
            (
                row.user or gettext("not named"),
                scene.code(row.cost_center_id),
                row.calls,
                row.tokens,
                row.cost if row.calls > row.unpriced_calls or row.cost else None,
                charts.tenths(row.latency_ms) if row.latency_ms is not None else None,
            )
            for row in rows
        ),
        note=_unpriced(sum(row.unpriced_calls for row in rows)),
    )


def latest(scene: Scene) -> Table:
    """Return the newest calls."""
    return Table(
        (
            Column("occurred_at", gettext("At"), Kind.INSTANT),
            Column("cost_center", gettext("Cost center")),
            Column("user", gettext("User")),
            Column("model", gettext("Model")),
            Column("tokens", gettext("Tokens"), Kind.COUNT),
            Column("cost_usd", gettext("Cost (USD)"), Kind.MONEY),
            Column("state", gettext("State")),
        ),
        tuple(
            (
                call.occurred_at,
                scene.code(call.cost_center_id),
                call.user_id or gettext("not named"),
                call.model_billed or call.model_requested,
                sum(call.tokens.values()),
                call.cost,
                _state(call),
            )
            for call in _calls(scene)[:CALLS]
        ),
    )


def newest(scene: Scene) -> str:
    """Return which call is the newest and where it stands."""
    row = _calls(scene).values_list("id", "state").first()
    return f"{row[0]}-{row[1]}" if row else ""


def held(scene: Scene) -> Decimal:
    """Return what is held for calls that are open now."""
    calls = _calls(scene).filter(state=CallState.HELD)
    held_now: Decimal = calls.aggregate(held=Sum("hold_amount", default=ZERO))["held"]
    return held_now


def _unpriced(calls: int) -> str:
    if not calls:
        return ""
    text = ngettext(
        "%(count)s call has no known price and is not in the amounts.",
        "%(count)s calls have no known price and are not in the amounts.",
        calls,
    )
    return text % {"count": calls}


def _state(call: UsageRecord) -> str:
    state = str(CallState(call.state).label)
    return gettext("%(state)s, estimated") % {"state": state} if call.is_estimated else state


def _calls(scene: Scene) -> QuerySet[UsageRecord]:
    """Return calls that were not refused, the newest first."""
    calls = UsageRecord.objects.exclude(state=CallState.DENIED).order_by("-id")
    if scene.filters.cost_center_ids is None:
        return calls
    return calls.filter(cost_center_id__in=scene.filters.cost_center_ids)
