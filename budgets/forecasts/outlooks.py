"""What is to be said of a budget's future: pages, mails, admin and API read it here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from budgets.alerts import states
from budgets.alerts.states import Figures, Level
from budgets.forecasts import projection
from budgets.forecasts.models import Forecast, Method, Status
from budgets.forecasts.projection import Ahead, Projection
from budgets.limits import standing
from budgets.limits.models import Threshold
from budgets.limits.standing import Standing

STALE = timedelta(minutes=10)  # evaluations come every minute: older, and nobody evaluates


@dataclass(frozen=True, slots=True)
class Outlook:
    """A running budget period's forecast; amounts are absent while there is none.

    p10 and p90 are absent where the backtest is too short, `exhausted_on` where the limit lasts.
    `mape` and `coverage` are ratios of the last 3 months' backtest. `days` is the history's length.
    """

    standing: Standing
    state: str
    status: str = Status.INSUFFICIENT_DATA
    method: str = ""
    days: int = 0
    through_on: date | None = None
    p10: Decimal | None = None
    p50: Decimal | None = None
    p90: Decimal | None = None
    exhausted_on: date | None = None
    mape: Decimal | None = None
    coverage: Decimal | None = None
    silent_since: date | None = None
    computed_at: datetime | None = None
    ahead: tuple[Ahead, ...] = ()

    @property
    def has_forecast(self) -> bool:
        """Say whether there is a number to show, even an old one."""
        return self.p50 is not None

    @property
    def method_name(self) -> str:
        """Return the method as people read it."""
        return str(Method(self.method).label) if self.method else ""

    @property
    def status_name(self) -> str:
        """Return the status as people read it."""
        return str(Status(self.status).label)

    @property
    def variance(self) -> Decimal | None:
        """Return by how much the forecast passes the limit; negative where it stays under."""
        return None if self.p50 is None else self.p50 - self.standing.limit

    @property
    def variance_share(self) -> Decimal | None:
        """Return the variance by the limit; None for a limit of nothing."""
        if self.variance is None or not self.standing.limit:
            return None
        return self.variance / self.standing.limit


def of(budget_ids: Iterable[UUID], *, at: datetime) -> dict[UUID, Outlook]:
    """Return the outlook of budgets in their periods that hold `at`, with three queries."""
    found = standing.standings(budget_ids, at=at)
    rows = Forecast.objects.filter(budget_period_id__in=[s.period_id for s in found.values()])
    forecasts = {row.budget_period_id: row for row in rows}
    levels = levels_of(found)
    return {
        budget_id: _outlook(now, forecasts.get(now.period_id), levels.get(budget_id, ()), at)
        for budget_id, now in found.items()
    }


def levels_of(budget_ids: Iterable[UUID]) -> Mapping[UUID, tuple[Level, ...]]:
    """Return the thresholds of budgets, as far as their figures go."""
    rows = Threshold.objects.filter(budget_id__in=list(budget_ids))
    levels: dict[UUID, tuple[Level, ...]] = {}
    for row in rows:
        level = Level(row.basis, row.unit, row.value, row.quantile)
        levels[row.budget_id] = (*levels.get(row.budget_id, ()), level)
    return levels


def quantiles(found: Projection) -> tuple[tuple[str, Decimal], ...]:
    """Return the figures of a forecast that thresholds may look at."""
    figures = (("p10", found.p10), ("p50", found.p50), ("p90", found.p90))
    return tuple((name, figure) for name, figure in figures if figure is not None)


def _outlook(
    now: Standing, row: Forecast | None, levels: tuple[Level, ...], at: datetime
) -> Outlook:
    if row is None:
        return Outlook(now, states.judge(levels, Figures(now.limit, now.actual), is_silent=False))
    found = projection.project(projection.read(row.outline), actual=now.actual, limit=now.limit)
    is_old = row.status == Status.READY and row.computed_at < at - STALE
    status = Status.STALE if is_old else row.status
    state = states.judge(
        levels,
        Figures(now.limit, now.actual, quantiles(found) if status == Status.READY else ()),
        is_silent=row.silent_since is not None,
        is_burning=row.is_burning,
    )
    return Outlook(
        standing=now,
        state=state,
        status=status,
        method=row.method,
        days=row.days,
        through_on=row.through_on,
        p10=found.p10,
        p50=found.p50,
        p90=found.p90,
        exhausted_on=found.exhausted_on,
        mape=row.mape,
        coverage=row.coverage,
        silent_since=row.silent_since,
        computed_at=row.computed_at,
        ahead=found.ahead,
    )
