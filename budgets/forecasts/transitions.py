"""The way back down: a budget that stands better than people were told, and meters that fall silent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from budgets.alerts import states
from budgets.alerts.models import Alert
from budgets.alerts.raising import NO_DATA, RECOVERED, Event
from budgets.alerts.states import ALERT, OK, STATES, WARNING
from budgets.forecasts.models import Forecast
from budgets.limits.models import Basis, BudgetPeriod
from budgets.limits.standing import Standing


@dataclass(frozen=True, slots=True)
class Before:
    """How a budget stood when it was looked at last, and the worst that people were told since."""

    row: Forecast | None
    told: str = OK

    @property
    def charged_state(self) -> str:
        """Return the state that people believe it is in."""
        return worse(self.row.charged_state if self.row else OK, self.told)

    @property
    def silent_since(self) -> date | None:
        """Return since when calls were missed."""
        return self.row.silent_since if self.row else None


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


def events(period: BudgetPeriod, now: Standing, row: Forecast, before: Before) -> list[Event]:
    """Return what is to be told of a budget's way from `before` to `row`."""
    facts = {"period_id": period.pk, "limit": f"{now.limit:f}", "actual": f"{now.actual:f}"}
    found = []
    was = before.charged_state
    if STATES.index(row.charged_state) < STATES.index(was):
        key = f"{period.pk}:{period.arm}:{was}:{row.charged_state}"
        found.append(Event(RECOVERED, key, facts | {"from": was, "to": row.charged_state}))
    if row.silent_since and not before.silent_since:
        since = row.silent_since.isoformat()
        found.append(Event(NO_DATA, f"{period.budget_id}:{since}", facts | {"silent_since": since}))
    if before.silent_since and not row.silent_since and _is_heard(now, row, before.silent_since):
        since = before.silent_since.isoformat()
        recovered = facts | {"from": states.NO_DATA, "to": row.state, "silent_since": since}
        found.append(Event(RECOVERED, f"{period.budget_id}:{since}:no_data", recovered))
    return found


def _is_heard(now: Standing, row: Forecast, silent_since: date) -> bool:
    """Say whether calls came again; a silence that is given up is no recovery."""
    called = row.outline.get("called")
    has_new = now.actual > sum((Decimal(cost) for cost in row.outline["past"]), start=Decimal(0))
    return now.held > 0 or has_new or bool(called and date.fromisoformat(called) >= silent_since)


def worse(one: str, other: str) -> str:
    """Return the worse of two states."""
    return max(one, other, key=STATES.index)
