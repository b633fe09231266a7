"""Who calls: keys and catalogues, cached for seconds; every admission checks that they still hold."""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attribution.prices import listings
from attribution.prices.listings import Listing
from attribution.prices.matching import Catalogue
from attribution.usage import dimensions
from attribution.usage.dimensions import Dimensions, HouseRules, KeyRules
from gateway.keys import scopes, tokens
from gateway.keys.tokens import Peppers, Token
from gateway.proxy import answer
from gateway.proxy.answer import RefusedError
from gateway.proxy.bridge.answers import KEPT, OLD, Answers, Cache
from gateway.proxy.bridge.catalog import Catalog, Coverage, period_at
from gateway.proxy.bridge.lookup import BudgetRow, CostCenterRow, KeyRow, Lookup, PeriodRow

NOTED = 5.0  # seconds between two notes of which keys are in use
HEADERS = frozenset((*dimensions.HEADERS.values(), "x-tags"))
UNKNOWN = 2.0  # seconds that an unknown key stays unknown


@dataclass(slots=True)
class Caller:
    """An API key, and its organization as it stands."""

    key: KeyRow
    catalog: Catalog
    rules: KeyRules
    house: HouseRules
    plain: Dimensions  # of a call that says nothing of itself

    @classmethod
    def of(cls, key: KeyRow, catalog: Catalog) -> "Caller":
        """Say what this key's calls are attributed to."""
        center = catalog.centers_by_id.get(key.cost_center_id or "")
        defaults = {"cost_center": center.code if center else "", "user_id": key.user_name}
        pins = {"cost_center": key.is_cost_center_pinned, "user_id": key.is_user_pinned}
        allowed = key.allowed_cost_centers
        rules = KeyRules(
            {name: value for name, value in defaults.items() if value},
            frozenset(name for name, is_pinned in pins.items() if is_pinned),
            {"cost_center": frozenset(allowed)} if allowed else {},
        )
        home = catalog.centers_by_id.get(catalog.row.organization.default_cost_center_id or "")
        house = HouseRules(home.code if home else None)
        plain = dimensions.resolve({}, {}, key=rules, house=house)
        return cls(key, catalog, rules, house, plain)

    def says(self, headers: Mapping[str, str], attribution: Mapping[str, object]) -> Dimensions:
        """Say who and what a call is for, by its headers and the fields of its body."""
        if not attribution and HEADERS.isdisjoint(headers):
            return self.plain
        return dimensions.resolve(headers, attribution, key=self.rules, house=self.house)

    def columns(self, said: Dimensions, center: CostCenterRow | None) -> dict[str, Any]:
        """Return what the record of a call says of who pays and what for."""
        return {
            "organization_id": self.key.organization_id,
            "api_key_id": self.key.id,
            "api_key_name": self.key.name,
            "department_id": center.department_id if center else None,
            "cost_center_id": center.id if center else None,
            "is_attribution_flagged": bool(said.cost_center)
            and (center is None or center.code != said.cost_center),
            "user_id": said.user_id,
            "path": said.path,
            "feature": said.feature,
            "session_id": said.session_id,
            "feature_flag": said.feature_flag,
            "environment": said.environment,
            "tags": said.tags or None,
        }

    def center(self, code: str | None) -> CostCenterRow | None:
        """Return the cost center that is charged: an unknown one is refused, or is the default."""
        found = self.catalog.centers.get(code) if code else None
        if found is not None and found.is_active:
            return found
        organization = self.catalog.row.organization
        if code and organization.unknown_cost_center == "refuse":
            message = f"There is no cost center {code!r}."
            raise RefusedError("unknown_cost_center", message, param="cost_center")
        return self.catalog.centers_by_id.get(organization.default_cost_center_id or "")


def _open(caller: Caller) -> Caller:
    """Return a caller whom nothing blocks."""
    block = caller.catalog.block(caller.key.id)
    if block is not None:
        raise answer.blocked(block.kind, block.name)
    return caller


class Callers:
    """Keys by the hash of the whole token, catalogues by organization, one shared price list."""

    def __init__(self, lookup: Lookup, peppers: Peppers) -> None:
        """Start knowing nobody."""
        self.lookup = lookup
        self._peppers = peppers
        self._keys: Cache = {}
        self._unknown: dict[bytes, float] = {}
        self._catalogs: Cache = {}
        self._prices: tuple[str, Catalogue[Listing]] | None = None
        self._answers = Answers()
        self._used: dict[str, tuple[str, int]] = {}  # keys presented since they were last noted

    async def of(self, text: str, *, is_stale: bool = False) -> Caller:
        """Return who presents this key; `is_stale` asks anew for all that is known.

        Raises RefusedError for a key that is not known, revoked, expired, blocked, or may not make
        calls.
        """
        digest = hashlib.sha256(text.encode()).digest()
        if not is_stale and (fresh := self._fresh(digest)) is not None:
            return _open(fresh)
        if self._unknown.get(digest, 0.0) > time.monotonic():
            raise RefusedError("invalid_api_key", "The API key is not valid.")
        oldest = 0.0 if is_stale else OLD
        key = await self._answers.cached(
            self._keys, digest, lambda: self._key(text, digest), oldest
        )
        if key is None or not self._is_alive(key):
            raise RefusedError("invalid_api_key", "The API key is not valid.")
        if not scopes.allows(key.scopes, scopes.CALL):
            raise RefusedError("scope_not_allowed", "This API key may not make calls.")
        kept = self._catalogs.get(key.organization_id)
        if kept is None or kept.value is None or kept.value.row.epoch < key.epoch:
            oldest = 0.0
        organization = key.organization_id
        catalog = await self._answers.cached(
            self._catalogs, organization, lambda: self._catalog(organization), oldest
        )
        if catalog is None:
            raise RefusedError("invalid_api_key", "The API key is not valid.")
        known = catalog.callers.get(key.id)
        if known is None or known.key is not key:
            known = catalog.callers[key.id] = Caller.of(key, catalog)
        return _open(known)

    def forget(self, organization_id: str | None) -> None:
        """Drop what an organization, or any, may have changed: its next call asks anew."""
        self._answers.changes += 1
        self._unknown.clear()  # a key may have been issued
        for digest, kept in list(self._keys.items()):
            key = kept.value
            if organization_id is None or key is None or key.organization_id == organization_id:
                del self._keys[digest]
        for name in [organization_id] if organization_id else list(self._catalogs):
            self._catalogs.pop(name, None)

    async def catalog(self, organization_id: str) -> Catalog | None:
        """Return an organization as it stands now."""
        return await self._answers.cached(
            self._catalogs, organization_id, lambda: self._catalog(organization_id), 0.0
        )

    async def note_used(self) -> None:
        """Tell the database which keys were presented; keys in use are asked for every few seconds."""
        used, self._used = self._used, {}
        items = [{"organization_id": o, "id": key, "at_ms": ms} for key, (o, ms) in used.items()]
        if items:
            await self.lookup.used(items)

    async def periods(
        self,
        catalog: Catalog,
        coverage: Coverage,
        *,
        ms: int,
    ) -> list[int]:
        """Return the periods of the budgets over a call; open those that do not exist yet."""
        found = []
        for budget in coverage.budgets:
            period = period_at(budget, ms) or await self._opened(catalog, budget, ms)
            if period is not None:
                found.append(period.id)
        return found

    async def _opened(self, catalog: Catalog, budget: BudgetRow, ms: int) -> PeriodRow | None:
        """Open the period of `budget` at an instant: beat opens them ahead, this is the first use."""
        window = catalog.window(budget, ms)
        if window is None:
            return None
        starts, ends = window.starts_at, window.ends_at
        question = {
            "organization_id": catalog.row.organization.id,
            "budget_id": budget.id,
            "starts_at": starts.isoformat(),
            "ends_at": ends.isoformat(),
            "year_starts_at": catalog.year_start(budget, window).isoformat(),
        }
        number = await self.lookup.period(question)
        if number is None:
            return None
        period = PeriodRow(number, int(starts.timestamp() * 1000), int(ends.timestamp() * 1000))
        budget.periods.append(period)
        return period

    def _fresh(self, digest: bytes) -> Caller | None:
        """Return a caller of whom everything was asked a moment ago: nearly every call's way."""
        kept = self._keys.get(digest)
        if kept is None or kept.value is None or not kept.is_fresh:
            return None
        held = self._catalogs.get(kept.value.organization_id)
        if held is None or held.value is None or not held.is_fresh:
            return None
        caller: Caller | None = held.value.callers.get(kept.value.id)
        if caller is None or caller.key is not kept.value or not self._is_alive(caller.key):
            return None
        return caller if caller.key.epoch <= held.value.row.epoch else None

    def _is_alive(self, key: KeyRow) -> bool:
        is_over = key.expires_ms is not None and key.expires_ms <= self.lookup.clock.now_ms()
        return key.is_active and not is_over

    async def _key(self, text: str, digest: bytes) -> KeyRow | None:
        """Ask for a key; what is malformed or unknown is remembered for a moment."""
        token = tokens.parse(text)
        rows = await self.lookup.keys(token.kid) if token else []
        for row in rows:
            if token and self._is_meant(row, token):
                if self._is_alive(row):
                    self._used[row.key_id] = (row.organization_id, self.lookup.clock.now_ms())
                return row
        if len(self._unknown) >= KEPT:
            self._unknown.clear()
        self._unknown[digest] = time.monotonic() + UNKNOWN
        return None

    def _is_meant(self, row: KeyRow, token: Token) -> bool:
        stored = bytes.fromhex(row.digest)
        return self._peppers.is_digest(stored, token.secret, row.pepper_version)

    async def _catalog(self, organization_id: str) -> Catalog | None:
        row = await self.lookup.catalog(organization_id)
        if row is None:
            return None
        if self._prices is None or self._prices[0] != row.price_revision:
            await self._answers.once("prices", self._load_prices)
        prices = self._prices[1] if self._prices else listings.read(())
        return Catalog(row, prices, time.monotonic())

    async def _load_prices(self) -> None:
        found = await self.lookup.prices()
        self._prices = (found.price_revision, await asyncio.to_thread(listings.read, found.prices))
