"""How the budgets over a call stand now: read, never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from attribution import money
from gateway.proxy.bridge.catalog import Catalog
from gateway.proxy.bridge.lookup import BudgetRow, Lookup, OutlookRow, StandingRow
from gateway.proxy.caller import Caller
from gateway.routes.targets import instant

QUANTILES = ("p10", "p50", "p90")
AMOUNTS = ("limit", "spent", "held", "uncertain", "remaining")


@dataclass(frozen=True, slots=True)
class Figures:
    """A budget in its period that holds an instant."""

    budget: BudgetRow
    is_hard: bool
    starts_at: datetime
    ends_at: datetime
    limit: Decimal
    spent: Decimal
    held: Decimal
    uncertain: Decimal

    @property
    def remaining(self) -> Decimal:
        """Return what calls may still hold."""
        return self.firm - self.held

    @property
    def firm(self) -> Decimal:
        """Return what would be left if no call were open."""
        return self.limit - self.spent - self.uncertain

    def shown(self, outlook: OutlookRow | None, *, is_amount_hidden: bool) -> dict[str, Any]:
        """Return what a program is told."""
        amounts = {name: money.text(getattr(self, name)) for name in AMOUNTS}
        return {
            "id": self.budget.id,
            "name": self.budget.name,
            "scope": self.budget.scope,
            "filters": self.budget.filters,
            "enforcement": self.budget.enforcement,
            "period": self.budget.period,
            "starts_at": self.starts_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
            **(dict.fromkeys(AMOUNTS) if is_amount_hidden else amounts),
            "state": outlook.state if outlook else None,
            "forecast": _forecast(outlook) if outlook and not is_amount_hidden else None,
        }


async def read(
    lookup: Lookup, catalog: Catalog, budgets: Sequence[BudgetRow], ms: int
) -> list[Figures]:
    """Return how budgets stand, in the order given; those without a period now are left out."""
    if not budgets:
        return []
    ids = [budget.id for budget in budgets]
    rows = await lookup.standing(catalog.row.organization.id, ids, ms)
    by_id = {row.id: row for row in rows}
    found = (_figures(catalog, budget, by_id.get(budget.id), ms) for budget in budgets)
    return [figures for figures in found if figures is not None]


async def of_caller(
    lookup: Lookup, caller: Caller, headers: dict[str, str], ms: int
) -> list[dict[str, Any]]:
    """Return the budgets over a call of this key with these headers, the tightest first."""
    said = caller.says(headers, {})
    center = caller.center(said.cost_center)
    catalog = caller.catalog
    coverage = catalog.coverage(center.id if center else None, caller.key.id, said.user_id)
    figures = await read(lookup, catalog, coverage.budgets, ms)
    figures.sort(key=lambda one: (one.remaining, one.budget.name))
    is_hidden = caller.key.is_amount_hidden
    if is_hidden:  # their order would tell too
        figures.sort(key=lambda one: one.budget.name)
    ids = [one.budget.id for one in figures]
    rows = await lookup.outlook(catalog.row.organization.id, ids, ms) if ids else []
    ahead = {row.id: row for row in rows}
    return [one.shown(ahead.get(one.budget.id), is_amount_hidden=is_hidden) for one in figures]


def _forecast(outlook: OutlookRow) -> dict[str, str | None]:
    found = outlook.forecast
    return found | {
        name: money.text(Decimal(text)) for name in QUANTILES if (text := found[name]) is not None
    }


def _figures(
    catalog: Catalog, budget: BudgetRow, row: StandingRow | None, ms: int
) -> Figures | None:
    if row is None:
        return None
    if row.starts_ms is not None and row.ends_ms is not None:
        starts, ends = instant(row.starts_ms), instant(row.ends_ms)
    else:
        window = catalog.window(budget, ms)
        if window is None:
            return None
        starts, ends = window.starts_at, window.ends_at
    amounts = (Decimal(text) for text in (row.limit, row.spent, row.held, row.uncertain))
    return Figures(budget, row.is_hard, starts, ends, *amounts)
