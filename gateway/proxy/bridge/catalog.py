"""What a gateway knows of one organization: who pays, what limits it, where routes lead, at which price."""

import functools
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from attribution.outbound.addresses import AddressError
from attribution.prices import listings, pricing
from attribution.prices.listings import Listing
from attribution.prices.matching import Catalogue
from attribution.prices.pricing import DatedCard
from attribution.prices.rates import Rates
from budgets.limits import filters, periods
from budgets.limits.periods import PeriodSpec, Window
from gateway.proxy.bridge.lookup import (
    BlockRow,
    BudgetRow,
    CatalogRow,
    CostCenterRow,
    PeriodRow,
    TargetRow,
)
from gateway.routes.matching import Matcher
from gateway.routes.targets import Target, Upstream, UpstreamRow, instant

logger = logging.getLogger(__name__)

HARD = frozenset({"block", "elastic"})
ORDER = (
    "organization",
    "api_key",
    "cost_center",
)  # which block is told of, when several stop a call
KEPT = 10_000  # answers of each kind that one catalogue remembers


class About(Protocol):
    """What a call is for, as far as budgets ask."""

    @property
    def feature(self) -> str | None:
        """Return its feature."""

    @property
    def environment(self) -> str | None:
        """Return where its program runs."""


@dataclass(slots=True)
class Coverage:
    """The budgets that cover a call; `is_hard` when one of them refuses."""

    budgets: tuple[BudgetRow, ...]
    is_hard: bool
    wait_ms: int
    is_filtered: bool  # one of them may be for other calls only
    is_elastic: bool  # those that refuse are elastic: a hold may begin small

    @classmethod
    def of(cls, budgets: Iterable[BudgetRow]) -> "Coverage":
        """Return what some budgets mean for a call."""
        found = tuple(budgets)
        hard = [budget for budget in found if budget.enforcement in HARD]
        wait = max(
            (budget.wait_ms for budget in hard), default=0
        )  # the one that blocks says how long
        is_elastic = bool(hard) and all(budget.enforcement == "elastic" for budget in hard)
        is_filtered = any(budget.filters for budget in found)
        return cls(found, bool(hard), wait, is_filtered, is_elastic)

    def narrowed(self, model: str, targets: Sequence[Target], about: About) -> "Coverage":
        """Return the budgets whose filters a possible target of the call matches."""
        if not self.is_filtered:
            return self
        return Coverage.of(b for b in self.budgets if _may_match(b.filters, model, targets, about))


NO_BUDGETS = Coverage.of(())


@dataclass(slots=True)
class Catalog:
    """One organization at one policy epoch."""

    row: CatalogRow
    prices: Catalogue[Listing]
    loaded: float  # monotonic
    centers: dict[str, CostCenterRow] = field(init=False)
    centers_by_id: dict[str, CostCenterRow] = field(init=False)
    routes: Matcher[Any] = field(init=False)
    _own: Catalogue[Listing] = field(init=False)
    _rows: dict[str, UpstreamRow] = field(init=False)
    callers: dict[str, Any] = field(default_factory=dict)  # of this catalogue, by key
    fingerprint_key: bytes | None = None
    _upstreams: dict[tuple[str, str], Upstream | None] = field(default_factory=dict)
    _targets: dict[tuple[str, str], tuple[Target, ...]] = field(default_factory=dict)
    _listings: dict[tuple[str, str], Listing | None] = field(default_factory=dict)
    _others: dict[tuple[str, str, str], Listing | None] = field(default_factory=dict)
    _coverage: dict[tuple[str | None, str, str | None], Coverage] = field(default_factory=dict)
    _ceilings: dict[Any, Rates | None] = field(default_factory=dict)
    limited: dict[Any, Any] = field(default_factory=dict)  # who has rate limits, by key and center

    def __post_init__(self) -> None:
        self.centers = {center.code: center for center in self.row.cost_centers}
        self.centers_by_id = {center.id: center for center in self.row.cost_centers}
        self.routes = Matcher(self.row.routes)
        self._own = listings.read(self.row.prices)
        self._rows = {row.id: row for row in self.row.upstreams}

    def targets(self, model: str, form: str) -> tuple[Target, ...]:
        """Return the targets of the route that `model` means which speak the format `form`."""
        names = (model, form)
        found = self._targets.get(names)
        if found is None:
            route = self.routes.find(model)
            rows = route.targets if route else ()
            places = [(row, self._upstream(row.upstream_id, form)) for row in rows]
            found = tuple(self._target(row, place, model) for row, place in places if place)
            if len(self._targets) < KEPT:
                self._targets[names] = found
        return found

    def coverage(self, center: str | None, key: str, user: str | None) -> Coverage:
        """Return the budgets over a call by their scope; `narrowed` then judges their filters."""
        names = (center, key, user)
        found = self._coverage.get(names)
        if found is None:
            departments = self.centers_by_id[center].departments if center else []
            found = Coverage.of(b for b in self.row.budgets if _covers(b, names, departments))
            if len(self._coverage) < KEPT:
                self._coverage[names] = found
        return found

    def block(self, key: str | None, center: str | None = None) -> BlockRow | None:
        """Return what blocks the calls of a key, or those booked to a cost center."""
        if not self.row.blocks:
            return None
        hit = {("api_key", key), ("cost_center", center)}
        found = (b for b in self.row.blocks if _stops(b, hit))
        return min(found, key=lambda block: ORDER.index(block.kind), default=None)

    def is_cut(self, key: str, center: str | None) -> bool:
        """Tell whether calls under way of a key, booked to a cost center, are cut."""
        hit = {("api_key", key), ("cost_center", center)}
        return any(block.is_cut and _stops(block, hit) for block in self.row.blocks)

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
        """Return the bounds of the period of `budget` that holds an instant, after those opened."""
        ends = max((period.ends_ms for period in budget.periods), default=None)
        last = None if ends is None else instant(ends)
        return periods.joined(self._spec(budget), instant(ms), last=last)

    def year_start(self, budget: BudgetRow, window: Window) -> datetime:
        """Return from when on a period of `budget` takes over what was left."""
        return periods.year_start(self._spec(budget), window)

    def _spec(self, budget: BudgetRow) -> PeriodSpec:
        return periods.spec_of(
            budget.period,
            budget.calendar,
            zone=budget.time_zone,
            fiscal_start_month=self.row.organization.fiscal_start_month,
        )

    def _upstream(self, id_: str, form: str) -> Upstream | None:
        """Return an upstream if it is open and speaks the format."""
        names = (id_, form)
        if names not in self._upstreams:
            row = self._rows.get(id_)
            self._upstreams[names] = _speaking(form, row) if row else None
        return self._upstreams[names]

    def _target(self, row: TargetRow, upstream: Upstream, model: str) -> Target:
        name = row.provider_model or model
        other = functools.partial(self._other, upstream, name)
        return Target(
            upstream, name, row.position, row.weight, self._listing(upstream, name), other
        )

    def _other(self, upstream: Upstream, asked: str, answered: str) -> Listing | None:
        """Return what the model that an answer names costs at an upstream."""
        names = (upstream.row.id, asked, answered)
        if names in self._others:
            return self._others[names]
        is_same = self._is_same(asked, answered, upstream.provider or None)
        listing = self._listing(upstream, asked if is_same else answered)
        if len(self._others) < KEPT:
            self._others[names] = listing
        return listing

    def _is_same(self, asked: str, answered: str, provider: str | None) -> bool:
        """Tell whether the price of what was asked, maybe the organization's own, is meant."""
        if provider is None or self._own.find(answered, provider) is not None:
            return False
        listed = self.prices.find(asked, provider)
        if listed is None:  # only the organization knows what stands behind its name
            return self._own.find(asked, provider) is not None
        return listed is self.prices.find(answered, provider)

    def _listing(self, upstream: Upstream, model: str) -> Listing | None:
        """Return what a model costs at an upstream, discount or markup included."""
        names = (upstream.row.id, model)
        if names in self._listings:
            return self._listings[names]
        listing = self._own.find(model, upstream.provider or None)
        if listing is None and upstream.provider:
            listing = self.prices.find(model, upstream.provider)
        if listing is not None:
            listing = listing.multiplied(upstream.multiplier)
        if len(self._listings) < KEPT:
            self._listings[names] = listing
        return listing


def _stops(block: BlockRow, hit: Collection[tuple[str, str | None]]) -> bool:
    """Tell whether a block stops a call."""
    return block.kind == "organization" or (block.kind, block.target_id) in hit


def _speaking(form: str, row: UpstreamRow) -> Upstream | None:
    """Return an upstream; None for one that does not speak the format, or stands nowhere."""
    try:
        return Upstream.speaking(form, row)
    except AddressError:
        logger.exception("upstream.address", extra={"upstream": row.id})
        return None


def period_at(budget: BudgetRow, ms: int) -> PeriodRow | None:
    """Return the open period of `budget` that holds an instant."""
    return next((q for q in budget.periods if q.starts_ms <= ms < q.ends_ms), None)


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


def _may_match(
    given: Mapping[str, Any], model: str, targets: Sequence[Target], about: About
) -> bool:
    """Tell whether a budget's filters let the call count, wherever it may go."""
    if not given:
        return True
    if not filters.may_count(given, feature=about.feature, environment=about.environment):
        return False
    return any(
        filters.may_bill(
            given,
            provider=target.upstream.provider or target.upstream.row.name,
            models=(model, target.model),
        )
        for target in targets
    )
