"""Everything that the page of one budget shows, in one value that its template reads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404
from django.urls import reverse

from attribution import calendar
from attribution.dashboards.charts import Table
from attribution.ledger import rollups
from attribution.reports.filters import Range
from attribution.templatetags.tollkeeper import day_text, decimal
from attribution.tenancy import access, roles
from attribution.tenancy.access import OrganizationRequest
from budgets.control import board, burndown, history, lines, spending
from budgets.control.burndown import Amounts
from budgets.control.lines import Line
from budgets.control.spending import Window
from budgets.control.structure import Structure
from budgets.limits import nesting
from budgets.limits.models import Budget, BudgetPeriod, Scope
from budgets.limits.standing import Standing
from budgets.reservations import refusals
from budgets.reservations.refusals import Selection

PERIODS = 13
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """A budget in the period that is looked at, from an instant within it."""

    line: Line
    structure: Structure
    now: datetime
    at: datetime  # now, or the last instant of a period that is over
    home: ZoneInfo

    @property
    def budget(self) -> Budget:
        """Return the budget."""
        return self.line.budget

    @property
    def window(self) -> Window | None:
        """Return the period with its days; None: the budget has none then."""
        now = self.line.standing
        if now is None:
            return None
        zone = ZoneInfo(self.budget.time_zone) if self.budget.time_zone else self.home
        first = calendar.local_day(now.starts_at, zone)
        end = calendar.local_day(now.ends_at - MICROSECOND, zone) + timedelta(days=1)
        return Window(self.budget, now, Range("custom", first, end, zone), self.home)


def scene(
    request: OrganizationRequest, budget: Budget, structure: Structure, *, now: datetime
) -> Scene:
    """Return what is looked at: the running period, or the one that the address names."""
    named = request.GET.get("period", "")
    at = _within(budget, named, now) if named else min(now, budget.archived_at or now)
    (line,) = lines.of([budget], structure, at=at)
    return Scene(line, structure, now, at, ZoneInfo(request.organization.time_zone))


def build(request: OrganizationRequest, shown: Scene) -> dict[str, Any]:
    """Return what the template shows."""
    budget, now = shown.budget, shown.line.standing
    page: dict[str, Any] = {
        "line": shown.line,
        "finding": board.finding_of(shown.line, at=shown.at),
        "change_url": _change_url(request, budget),
        "raise_url": _raise_url(request, budget),
        "list_url": reverse("budgets:budget-list"),
        "warnings": _warnings(request, shown),
        "as_of": rollups.advanced_at(),
        "at": shown.at,
        "periods": _periods(request, shown),
        "versions": list(history.versions(budget)),
        "overrides": history.overrides(history.of_budget(budget), at=shown.now),
        "csv": {
            panel: _url(request, "budgets:budget-file", budget, panel)
            for panel in ("daily", "limits")
        },
        "tables": {"daily": _url(request, "budgets:budget-table", budget, "daily")},
    }
    if now is None:
        return page
    return page | {
        "burndown": _burndown(shown) if now.ends_at - now.starts_at > timedelta(hours=26) else None,
        "spending": [_part(request, shown, name) for name in dimensions(budget)],
        "watches": history.watches(budget, now),
        "refused": _refused(budget, now),
    }


def table(shown: Scene, panel: str) -> Table:
    """Return one panel as a table; 404 for one that there is not."""
    if panel == "limits":
        return history.versions_table(history.versions(shown.budget))
    if panel == "daily":
        return burndown.table(_burns(shown))
    if panel not in spending.DIMENSIONS:
        raise Http404
    window = shown.window
    rows = spending.by(panel, window) if window else []
    return spending.table(panel, rows, shown.structure)


def dimensions(budget: Budget) -> list[str]:
    """Return by what the calls of a budget can differ."""
    alike = {Scope.COST_CENTER: "cost_center", Scope.API_KEY: "api_key", Scope.USER: "user"}
    return [name for name in spending.DIMENSIONS if name != alike.get(Scope(budget.scope))]


def _burndown(shown: Scene) -> Any:
    outlook = shown.line.outlook
    return burndown.chart(_burns(shown), outlook) if outlook else None


def _burns(shown: Scene) -> list[burndown.Burn]:
    window, outlook = shown.window, shown.line.outlook
    if window is None or outlook is None:
        return []
    found = Amounts(list(history.versions(shown.budget)), list(history.of_budget(shown.budget)))
    return burndown.days_of(window, outlook, found, at=shown.at)


def _part(request: OrganizationRequest, shown: Scene, dimension: str) -> dict[str, Any]:
    window = shown.window
    rows = spending.by(dimension, window) if window else []
    found = spending.table(dimension, rows, shown.structure, most=spending.MOST)
    url = _url(request, "budgets:budget-file", shown.budget, dimension)
    return {
        "name": dimension,
        "title": spending.heading(dimension),
        "table": found,
        "csv_url": url,
    }


def _refused(budget: Budget, now: Standing) -> dict[str, Any]:
    """Count the calls that the budget stopped in the period, and those it would have."""
    found = refusals.tallies(Selection(now.starts_at, now.ends_at, budget.pk))
    url = f"{reverse('budgets:refusal-list')}?budget={budget.pk}"
    return {"tally": found[0] if found else None, "url": url}


def _within(budget: Budget, named: str, now: datetime) -> datetime:
    """Return now, or the last instant of a period that is over; 404 for no period of the budget."""
    if not named.isascii() or not named.isdigit() or len(named) > 18:
        raise Http404
    found = BudgetPeriod.objects.filter(budget=budget, pk=int(named)).first()
    if found is None or found.starts_at > now:
        raise Http404
    return min(now, found.ends_at - MICROSECOND)


def _periods(request: OrganizationRequest, shown: Scene) -> list[dict[str, Any]]:
    """Return the last periods to choose from, the newest first."""
    now = shown.line.standing
    rows = BudgetPeriod.objects.filter(budget=shown.budget, starts_at__lte=shown.now)
    return [
        {
            "period": row,
            "label": day_text(calendar.local_day(row.starts_at, shown.home)),
            "url": board.changed(request.GET, period=str(row.pk)),
            "is_current": now is not None and row.pk == now.period_id,
            "share": (row.spent + row.uncertain) / row.limit_amount if row.limit_amount else None,
        }
        for row in rows.order_by("-starts_at")[:PERIODS]
    ]


def _url(request: OrganizationRequest, name: str, budget: Budget, panel: str) -> str:
    query = request.GET.urlencode()
    return reverse(name, args=[budget.pk, panel]) + (f"?{query}" if query else "")


def _warnings(request: OrganizationRequest, shown: Scene) -> list[str]:
    """Say where this budget allows more than what it lies in, or what lies in it more than this."""
    if access.role_of(request) == roles.ENGINEER or access.is_narrowed(request):
        return []
    excesses = nesting.everywhere(shown.now).get(shown.budget.pk, [])
    amounts = ((decimal(e.amount, places=2), decimal(e.limit, places=2)) for e in excesses)
    return [one.text(pair) for one, pair in zip(excesses, amounts, strict=True)]


def _change_url(request: OrganizationRequest, budget: Budget) -> str:
    name = "admin:budgets_budget_change"
    may = budget.archived_at is None and access.may(request, "POST", name)
    return reverse(name, args=[budget.pk]) if may else ""


def _raise_url(request: OrganizationRequest, budget: Budget) -> str:
    name = "budgets:override-grant"
    may = budget.archived_at is None and access.may(request, "POST", name)
    return f"{reverse(name)}?budget={budget.pk}" if may else ""
