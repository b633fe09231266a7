"""Evaluates the running budgets of an organization, every minute at most; alone writes forecasts.

What complete days say is worked out once a day and kept; the rest follows from how a budget stands.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from attribution import calendar
from attribution.isolation.transaction import required, tenant
from attribution.ledger import rollups
from attribution.tenancy.models import Organization
from budgets.alerts import raising, states
from budgets.alerts.raising import Burn
from budgets.alerts.states import Figures, Level
from budgets.forecasts import outlooks, projection, series, silence, transitions
from budgets.forecasts.methods import ZERO
from budgets.forecasts.models import Forecast, Status
from budgets.forecasts.outlooks import STALE
from budgets.forecasts.series import Source, Used
from budgets.forecasts.transitions import Before
from budgets.limits import standing
from budgets.limits.models import Basis, BudgetPeriod, Threshold
from budgets.limits.standing import Standing

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
RENEWED = timedelta(hours=6)  # late facts of complete days are met by then
LATE = timedelta(hours=6)  # reports of a day that has ended may take this long
PRICED = ("status", "p10", "p50", "p90", "exhausted_on")
JUDGED = ("silent_since", "is_burning", "state", "charged_state")
MODELLED = ("method", "days", "through_on", "mape", "coverage", "outline", "modelled_at")


@dataclass(slots=True)
class Case:
    """A running budget while it is evaluated."""

    period: BudgetPeriod
    now: Standing
    source: Source
    end: date
    is_behind: bool
    row: Forecast
    thresholds: Sequence[Threshold]
    burns: list[Burn] = field(default_factory=list)
    is_modelled: bool = False

    @property
    def levels(self) -> tuple[Level, ...]:
        """Return the thresholds as far as their figures go."""
        return tuple(Level(t.basis, t.unit, t.value, t.quantile) for t in self.thresholds)

    @property
    def hours(self) -> set[int]:
        """Return over how many hours burn rates are asked for."""
        return {t.hours for t in self.thresholds if t.basis == Basis.BURN_RATE and t.hours}

    def is_due(self, at: datetime) -> bool:
        """Say whether what complete days say is to be worked out (anew)."""
        known = self.row.outline.get("first")
        return known != self.end.isoformat() or self.row.modelled_at < at - RENEWED


def evaluate(organization_id: UUID, *, at: datetime) -> int:
    """Bring every running budget's forecast up to date and raise its thresholds; return the new alerts.

    Short transactions: none is open while a model is worked out. Any number may evaluate at once.
    """
    with tenant(organization_id):
        cases = _cases(at)
    for case in cases:
        if case.is_due(at) or case.hours:
            _look_back(organization_id, case, at)
    with tenant(organization_id):
        return _write(cases, at) if cases else 0


def _cases(at: datetime) -> list[Case]:
    home = ZoneInfo(Organization.objects.get(pk=required()).time_zone)
    periods = list(
        BudgetPeriod.objects.filter(budget__archived_at=None, starts_at__lte=at, ends_at__gt=at)
        .select_related("budget")
        .order_by("pk")
    )
    found = standing.standings([period.budget_id for period in periods], at=at)
    rows = {row.budget_period_id: row for row in Forecast.objects.filter(budget_period__in=periods)}
    thresholds = _thresholds(found)
    mark = rollups.advanced_at()
    cases = []
    for period in periods:
        zone = ZoneInfo(period.budget.time_zone or home.key)
        today = calendar.local_day(at, zone)  # its data are incomplete, and a late rollup's too
        blank = Forecast(budget_period=period, modelled_at=at, computed_at=at)
        cases.append(
            Case(
                period=period,
                now=found[period.budget_id],
                source=series.source(period.budget, zone=zone, home=home),
                end=min(today, calendar.local_day(mark, zone)) if mark else today,
                is_behind=mark is not None and mark < at - STALE,
                row=rows.get(period.pk, blank),
                thresholds=thresholds.get(period.budget_id, ()),
            )
        )
    return cases


def _thresholds(budget_ids: Iterable[UUID]) -> dict[UUID, tuple[Threshold, ...]]:
    found: dict[UUID, tuple[Threshold, ...]] = {}
    for threshold in Threshold.objects.filter(budget__in=list(budget_ids)):
        found[threshold.budget_id] = (*found.get(threshold.budget_id, ()), threshold)
    return found


def _look_back(organization_id: UUID, case: Case, at: datetime) -> None:
    """Read what a budget's scope has cost; work out the outline when it is due."""
    is_due = case.is_due(at)
    with tenant(organization_id):
        used = series.daily(case.source, end=case.end) if is_due else None
        case.burns = [
            Burn(case.period.pk, hours, _spent(case.source, at, hours)) for hours in case.hours
        ]
    if used is not None:
        _model(case, used, at)


def _spent(source: Source, at: datetime, hours: int) -> Decimal:
    return series.spent(source, since=at - timedelta(hours=hours), at=at)


def _model(case: Case, used: Used, at: datetime) -> None:
    zone = case.source.zone
    opens, ends = (
        calendar.local_day(instant, zone) for instant in (case.now.starts_at, case.now.ends_at)
    )
    known = projection.outline(used.history, opens=opens, ends=max(ends, case.end + DAY))
    row = case.row
    row.method, row.days = known.method, len(used.history.costs)
    row.through_on = used.history.last
    row.mape, row.coverage = known.mape, known.coverage
    row.outline = known.as_json() | {
        "silent": _text(silence.since(used.history, used.called)),
        "called": _text(silence.last_called(used.history, used.called)),
    }
    row.modelled_at = at
    case.is_modelled = True


def _write(cases: Sequence[Case], at: datetime) -> int:
    """Write what was worked out, in the order of periods, then raise and tell."""
    ids = [case.period.pk for case in cases]
    locked = Forecast.objects.filter(budget_period_id__in=ids).order_by("pk").select_for_update()
    before = {row.budget_period_id: row for row in locked}
    told = transitions.raised_since({i: row.computed_at for i, row in before.items()}, ids)
    events = []
    for case in cases:
        _judge(case, at)
        was = Before(before.get(case.period.pk), told.get(case.period.pk, states.OK))
        events += transitions.events(case.period, case.now, case.row, was)
    _save(
        [case.row for case in cases if case.is_modelled],
        [*PRICED, *JUDGED, *MODELLED, "computed_at"],
    )
    kept = [case.row for case in cases if not case.is_modelled]
    changed = [row for row in kept if _is_changed(row, before.get(row.budget_period_id))]
    Forecast.objects.bulk_update(changed, [*PRICED, *JUDGED])
    Forecast.objects.filter(budget_period_id__in=ids).update(computed_at=at)
    raising.tell(events)
    return raising.ahead(ids, [burn for case in cases for burn in case.burns])


def _is_changed(row: Forecast, before: Forecast | None) -> bool:
    return before is None or any(
        getattr(row, name) != getattr(before, name) for name in (*PRICED, *JUDGED)
    )


def _save(rows: Sequence[Forecast], fields: Sequence[str]) -> None:
    Forecast.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organization", "budget_period"],
        update_fields=fields,
    )


def _judge(case: Case, at: datetime) -> None:
    """Put on the row what the outline and the standing of now give."""
    row, now = case.row, case.now
    found = projection.project(projection.read(row.outline), actual=now.actual, limit=now.limit)
    row.p10, row.p50, row.p90 = found.p10, found.p50, found.p90
    row.exhausted_on = found.exhausted_on
    row.status = Status.STALE if case.is_behind else Status.READY
    if found.p50 is None:
        row.status = Status.INSUFFICIENT_DATA
    row.silent_since = _silent_since(case, at)
    row.is_burning = _is_burning(case)
    quantiles = outlooks.quantiles(found) if row.status == Status.READY else ()
    figures = Figures(now.limit, now.actual, quantiles)
    row.charged_state = states.charged(case.levels, figures)
    row.state = states.judge(
        case.levels,
        figures,
        is_silent=row.silent_since is not None,
        is_burning=row.is_burning,
    )
    row.computed_at = at


def _silent_since(case: Case, at: datetime) -> date | None:
    """Return since when calls are missed; usage that is reported late has some hours to arrive."""
    silent, now = case.row.outline.get("silent"), case.now
    if not silent or now.held > 0:
        return None
    if now.actual > sum(projection.read(case.row.outline).past, start=ZERO):
        return None  # today has calls
    day = date.fromisoformat(silent)
    return day if at >= calendar.day_start(day + DAY, case.source.zone) + LATE else None


def _is_burning(case: Case) -> bool:
    hours = Decimal((case.now.ends_at - case.now.starts_at) // HOUR)
    factors = {
        burn.hours: states.burn_factor(
            burn.spent, limit=case.now.limit, share=Decimal(burn.hours) / hours
        )
        for burn in case.burns
    }
    return any(
        ZERO < factors.get(t.hours or 0, ZERO) >= t.value
        for t in case.thresholds
        if t.basis == Basis.BURN_RATE
    )


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None
