"""The way back down: a budget that stands better than people were told, and meters that fall silent."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from budgets.alerts import states
from budgets.alerts.models import Alert
from budgets.alerts.raising import NO_DATA, RECOVERED, Event
from budgets.alerts.states import ALERT, OK, STATES, WARNING
from budgets.forecasts.models import Forecast
from budgets.limits.models import Basis, BudgetPeriod
from budgets.limits.standing import Standing


def raised_since(seen_at: Mapping[int, datetime], period_ids: Sequence[int]) -> dict[int, str]:
    """Return the worst state that people were told of each period since it was looked at last.

    So a limit raised before anybody evaluated is a recovery as well.
    """
    worst: dict[int, str] = {}
    for alert in Alert.objects.filter(budget_period_id__in=period_ids, basis=Basis.ACTUAL):
        seen = seen_at.get(alert.budget_period_id)
        if seen is None or alert.crossed_at > seen:
            told = ALERT if alert.actual_at >= alert.limit_at else WARNING
            worst[alert.budget_period_id] = worse(told, worst.get(alert.budget_period_id, OK))
    return worst


def events(
    period: BudgetPeriod,
    now: Standing,
    row: Forecast,
    before: Forecast | None,
    told: str | None,
) -> list[Event]:
    """Return what is to be told of a budget's way from `before` to `row`."""
    was = worse(before.charged_state if before else OK, told or OK)
    facts = {
        "period_id": period.pk,
        "limit": f"{now.limit:f}",
        "actual": f"{now.actual:f}",
    }
    found = []
    if STATES.index(row.charged_state) < STATES.index(was):
        key = f"{period.pk}:{period.arm}:{was}:{row.charged_state}"
        found.append(Event(RECOVERED, key, facts | {"from": was, "to": row.charged_state}))
    silent = before.silent_since if before else None
    if row.silent_since and not silent:
        since = row.silent_since.isoformat()
        found.append(Event(NO_DATA, f"{period.budget_id}:{since}", facts | {"silent_since": since}))
    if silent and not row.silent_since:
        since = silent.isoformat()
        recovered = facts | {"from": states.NO_DATA, "to": row.state, "silent_since": since}
        found.append(Event(RECOVERED, f"{period.budget_id}:{since}:no_data", recovered))
    return found


def worse(one: str, other: str) -> str:
    """Return the worse of two states."""
    return max(one, other, key=STATES.index)
