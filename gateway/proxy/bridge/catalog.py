"""What a gateway knows of one organization: who pays, what limits it, where routes lead, at which price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from attribution.prices import listings, pricing
from attribution.prices.listings import Listing
from attribution.prices.matching import Catalogue
from attribution.prices.pricing import DatedCard
from attribution.prices.rates import Rates
from budgets.limits.periods import PeriodSpec, Window, window_at
from gateway.proxy.bridge.lookup import (
    BudgetRow,
    CatalogRow,
    CostCenterRow,
    PeriodRow,
    TargetRow,
)
from gateway.routes.matching import Matcher
from gateway.routes.targets import Target, Upstream, instant

HARD = frozenset({"block", "elastic"})


@dataclass(slots=True)
class Coverage:
    """The budgets that cover a call; `is_hard` when one of them refuses."""

    budgets: tuple[BudgetRow, ...]
    is_hard: bool
    wait_ms: int


@dataclass(slots=True)
class Catalog:
    """One organization at one policy epoch."""

    row: CatalogRow
    prices: Catalogue[Listing]
    loaded: float  # monotonic
    centers: dict[str, CostCenterRow] = field(init=False)
    centers_by_id: dict[str, CostCenterRow] = field(init=False)
    routes: Matcher[Any] = field(init=False)
    upstreams: dict[str, Upstream] = field(init=False)
    _own: Catalogue[Listing] = field(init=False)
    callers: dict[str, Any] = field(default_factory=dict)  # of this catalogue, by key
    fingerprint_key: bytes | None = None
    _targets: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    _coverage: dict[tuple[str | None, str, str | None], Coverage] = field(default_factory=dict)
    _ceilings: dict[Any, Rates | None] = field(default_factory=dict)

    limited: dict[Any, Any] = field(default_factory=dict)  # who has rate limits, by key and center
    def __post_init__(self) -> None:
        self.centers = {center.code: center for center in self.row.cost_centers}
        self.centers_by_id = {center.id: center for center in self.row.cost_centers}
        self.routes = Matcher(self.row.routes)
        self.upstreams = {row.id: Upstream.from_row(row) for row in self.row.upstreams}
        self._own = listings.read(self.row.prices)

    def targets(self, model: str) -> tuple[Target, ...]:
        """Return the targets of the route that `model` means; none for an unknown model."""
        found = self._targets.get(model)
        if found is None:
            route = self.routes.find(model)
            rows = route.targets if route else ()
            found = tuple(
                self._target(row, model) for row in rows if row.upstream_id in self.upstreams
            )
            if len(self._targets) < 10_000:
                self._targets[model] = found
        return found

    def coverage(self, center: str | None, key: str, user: str | None) -> Coverage:
        """Return the budgets over a call by their scope; filters are judged by `periods`."""
        names = (center, key, user)
        found = self._coverage.get(names)
        if found is None:
            departments = self.centers_by_id[center].departments if center else []
            budgets = [b for b in self.row.budgets if _covers(b, names, departments)]
            hard = [b for b in budgets if b.enforcement in HARD]
            wait = max((b.wait_ms for b in hard), default=0)  # the one that blocks says how long
            found = Coverage(tuple(budgets), bool(hard), wait)
            if len(self._coverage) < 10_000:
                self._coverage[names] = found
        return found

    def ceiling(
        self, targets: tuple[Target, ...], tokens: int, tier: str | None, ms: int
    ) -> Rates | None:
        """Return the highest rate of each class over all targets; None when one has no price."""
        cards: list[DatedCard] = []
        for target in targets:
            dated = target.price_at(ms)
            if dated is None:
                return None
            cards.append(dated)
        reach = tuple(target.reached(tokens, ms) for target in targets)
        upstreams = tuple(target.upstream.row.id for target in targets)
        key = (tuple(dated.version for dated in cards), upstreams, reach, tier)
        if key not in self._ceilings:
            tiers = None if tier is None else (tier,)
            found = pricing.ceiling(
                (dated.card for dated in cards), input_tokens=tokens, service_tiers=tiers
            )
            self._ceilings[key] = found
        return self._ceilings[key]

    def window(self, budget: BudgetRow, ms: int) -> Window | None:
        """Return the bounds of the period of `budget` that holds an instant."""
        return window_at(spec(budget, self.row.organization.fiscal_start_month), instant(ms))

    def _target(self, row: TargetRow, model: str) -> Target:
        upstream = self.upstreams[row.upstream_id]
        name = row.provider_model or model
        listing = self._own.find(name, upstream.provider or None)
        if listing is None and upstream.provider:
            listing = self.prices.find(name, upstream.provider)
        if listing is not None:
            listing = listing.multiplied(upstream.multiplier)
        return Target(upstream, name, row.position, row.weight, listing)


def period_at(budget: BudgetRow, ms: int) -> PeriodRow | None:
    """Return the open period of `budget` that holds an instant."""
    return next((q for q in budget.periods if q.starts_ms <= ms < q.ends_ms), None)


def may_match(filters: Mapping[str, Any], model: str, targets: Sequence[Target]) -> bool:
    """Tell whether a possible target of the call matches a budget's filters, or they are unknown."""
    if not filters:
        return True
    return any(
        _is_in(filters, "provider", (target.upstream.provider,))
        and _is_in(filters, "model", (model, target.model))
        and _is_in(filters, "upstream", (target.upstream.row.id, target.upstream.row.name))
        for target in targets
    )


def spec(budget: BudgetRow, fiscal_start_month: int) -> PeriodSpec:
    """Return how a budget cuts time."""
    given = budget.calendar
    dates = {
        name: date.fromisoformat(given[name])
        for name in ("anchor", "starts_on", "ends_on")
        if given.get(name)
    }
    month = fiscal_start_month if budget.period == "fiscal" else 1
    return PeriodSpec(
        budget.period,
        ZoneInfo(budget.time_zone),
        start_month=int(given.get("start_month") or month),
        week_start=int(given.get("week_start") or 0),
        pattern=given.get("pattern") or "",
        **dates,
    )


def _covers(
    budget: BudgetRow, names: tuple[str | None, str, str | None], departments: Sequence[str]
) -> bool:
    """Tell whether the scope of `budget` holds a call of this cost center, key and user."""
    center, key, user = names
    by_scope = {
        "organization": True,
        "department": budget.scope_id in departments,
        "cost_center": center is not None and budget.scope_id == center,
        "api_key": budget.scope_id == key,
        "user": bool(user) and budget.scope_value == user,
    }
    return by_scope[budget.scope]


def _is_in(filters: Mapping[str, Any], name: str, values: tuple[str, ...]) -> bool:
    wanted = filters.get(name)
    if not wanted:
        return True
    return any(value in wanted if isinstance(wanted, list) else value == wanted for value in values)
