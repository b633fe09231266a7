"""What limited a budget: its limit versions, overrides and thresholds, and what they did."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext

from attribution.dashboards.charts import Column, Kind, Table
from attribution.templatetags.tollkeeper import decimal
from budgets.alerts.models import Alert
from budgets.control.lines import amount_of
from budgets.limits.amounts import BudgetOverride, LimitVersion, VersionKind
from budgets.limits.models import Basis, Budget, Threshold, Unit
from budgets.limits.standing import Standing

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Granted:
    """An override with how it stands: `level` is good, warn, none or bad, `word` says the same."""

    override: BudgetOverride
    level: str
    word: str

    @property
    def is_waiting(self) -> bool:
        """Say whether a second person has not approved it yet."""
        return self.level == "warn"

    @property
    def is_open(self) -> bool:
        """Say whether it can still be revoked or declined."""
        return self.level in {"good", "warn", "info"}


@dataclass(frozen=True, slots=True)
class Watch:
    """A threshold of a budget, and when it fired in the period."""

    threshold: Threshold
    amount: Decimal | None
    fired_at: datetime | None

    @property
    def label(self) -> str:
        """Return the threshold as people say it."""
        return told(self.threshold)


def versions(budget: Budget) -> QuerySet[LimitVersion]:
    """Return what the limit was set to, the newest first."""
    rows = LimitVersion.objects.filter(budget=budget).select_related("set_by")
    return rows.order_by("-created_at")


def overrides(rows: Iterable[BudgetOverride], *, at: datetime) -> list[Granted]:
    """Return overrides with how each stands at an instant."""
    return [Granted(row, *_standing(row, at)) for row in rows]


def of_budget(budget: Budget) -> QuerySet[BudgetOverride]:
    """Return everything that was added to a budget for a while, the newest first."""
    rows = BudgetOverride.objects.filter(budget=budget)
    return rows.select_related("budget", "requested_by", "approved_by").order_by("-starts_at")


def limits(
    now: Standing,
    found: Iterable[LimitVersion],
    added: Iterable[BudgetOverride],
    instants: Sequence[datetime],
) -> list[Decimal]:
    """Return the limit of a period at each of some instants, as it was or is planned."""
    dated = sorted(
        (max(row.effective_at, row.created_at), row.amount)
        for row in found
        if row.kind != VersionKind.ESTIMATE
    )
    acting = [(*_acts(row), row.amount) for row in added if row.approved_at]
    answer = []
    for instant in instants:
        base = next((a for since, a in reversed(dated) if since <= instant), None)
        base = base if base is not None else (dated[0][1] if dated else now.base)
        raised = sum((a for start, end, a in acting if start <= instant < end), start=ZERO)
        answer.append(max(base + now.carried, ZERO) + raised)
    return answer


def watches(budget: Budget, now: Standing) -> list[Watch]:
    """Return the thresholds of a budget with when each last fired in the period."""
    alerts = Alert.objects.filter(budget_period_id=now.period_id).order_by("arm", "crossed_at")
    fired = {_key(one, one.threshold): one.crossed_at for one in alerts}
    rows = Threshold.objects.filter(budget=budget).order_by("basis", "unit", "value")
    return [
        Watch(
            row,
            None if row.unit == Unit.FACTOR else amount_of(row, now.limit),
            fired.get(_key(row, row.value)),
        )
        for row in rows
    ]


def told(row: Any, value: Decimal | None = None) -> str:
    """Say a threshold or an alert in words: 80 % of the limit, forecast above 500 USD."""
    number = (row.value if value is None else value).normalize()
    places = max(0, -int(number.as_tuple().exponent))
    facts = {"number": decimal(number, places=places), "hours": row.hours}
    if row.basis == Basis.BURN_RATE:
        return gettext("%(number)s times the even pace over %(hours)s hours") % facts
    is_share = row.unit == Unit.PERCENT
    if row.basis == Basis.FORECAST:
        text = (
            gettext("forecast (%(quantile)s) of %(number)s %% of the limit")
            if is_share
            else gettext("forecast (%(quantile)s) of %(number)s USD")
        )
        return text % {**facts, "quantile": row.quantile}
    return (
        gettext("%(number)s %% of the limit") if is_share else gettext("%(number)s USD")
    ) % facts


def versions_table(rows: Iterable[LimitVersion]) -> Table:
    """Return limit versions as rows of a file."""
    return Table(
        (
            Column("set_at", gettext("Set"), Kind.INSTANT),
            Column("kind", gettext("Kind")),
            Column("limit_usd", gettext("Limit (USD)"), Kind.MONEY),
            Column("effective_at", gettext("From"), Kind.INSTANT),
            Column("set_by", gettext("By")),
            Column("reason", gettext("Reason")),
        ),
        tuple(
            (
                *(row.created_at, str(VersionKind(row.kind).label), row.amount),
                *(row.effective_at, str(row.set_by or ""), row.reason),
            )
            for row in rows
        ),
    )


def _standing(row: BudgetOverride, at: datetime) -> tuple[str, str]:
    if row.revoked_at is not None:
        return "none", gettext("revoked") if row.approved_at else gettext("declined")
    if row.ends_at <= at:
        return "none", gettext("over") if row.approved_at else gettext("never approved")
    if row.approved_at is None:
        return "warn", gettext("waits for approval")
    if row.starts_at > at:
        return "info", gettext("coming")
    return "good", gettext("running")


def _acts(row: BudgetOverride) -> tuple[datetime, datetime]:
    """Return from when to before when an override acted, or will."""
    starts = max(row.starts_at, row.approved_at or row.starts_at)
    return starts, min(row.ends_at, row.revoked_at or row.ends_at)


def _key(row: Any, value: Decimal) -> tuple[Any, ...]:
    return (row.basis, row.unit, value, row.quantile, row.hours)
