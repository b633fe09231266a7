"""Who calls: keys and catalogues, cached for seconds; every admission checks that they still hold."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from attribution.prices import listings
from attribution.prices.listings import Listing
from attribution.prices.matching import Catalogue
from attribution.usage import dimensions
from attribution.usage.dimensions import Dimensions, HouseRules, KeyRules
from gateway.keys import scopes, tokens
from gateway.keys.tokens import Peppers, Token
from gateway.proxy.answer import RefusedError
from gateway.proxy.bridge.catalog import Catalog, Coverage, period_at
from gateway.proxy.bridge.lookup import BudgetRow, CostCenterRow, KeyRow, Lookup, PeriodRow

T = TypeVar("T")
FRESH = 3.0  # seconds before a cached answer is asked for anew, beside the call that uses it
OLD = 5.0  # seconds after which a call waits for the fresh one
NOTED = 5.0  # seconds between two notes of which keys are in use
KEPT = 4096  # keys, and as many unknown ones
HEADERS = frozenset((*dimensions.HEADERS.values(), "x-tags"))
UNKNOWN = 2.0  # seconds that an unknown key stays unknown


@dataclass(slots=True)
class Caller:
    """An API key that may call, and its organization as it stands."""

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


@dataclass(slots=True)
class _Kept:
    """A cached value and when it was asked for."""

    value: Any
    at: float


class Callers:
    """Keys by the hash of the whole token, catalogues by organization, one shared price list."""

    def __init__(self, lookup: Lookup, peppers: Peppers) -> None:
        """Start knowing nobody."""
        self.lookup = lookup
        self._peppers = peppers
        self._keys: dict[bytes, _Kept] = {}
        self._unknown: dict[bytes, float] = {}
        self._catalogs: dict[str, _Kept] = {}
        self._prices: tuple[str, Catalogue[Listing]] | None = None
        self._asking: dict[Any, asyncio.Task[Any]] = {}
        self._used: dict[str, tuple[str, int]] = {}  # keys presented since they were last noted

    async def of(self, text: str, *, is_stale: bool = False) -> Caller:
        """Return who presents this key; `is_stale` asks anew for all that is known.

        Raises RefusedError for a key that is not known, revoked, expired, or may not make calls.
        """
        digest = hashlib.sha256(text.encode()).digest()
        if not is_stale and (fresh := self._fresh(digest)) is not None:
            return fresh
        if self._unknown.get(digest, 0.0) > time.monotonic():
            raise RefusedError("invalid_api_key", "The API key is not valid.")
        oldest = 0.0 if is_stale else OLD
        key = await self._cached(self._keys, digest, lambda: self._key(text, digest), oldest)
        if key is None or not self._is_alive(key):
            raise RefusedError("invalid_api_key", "The API key is not valid.")
        if not scopes.allows(key.scopes, scopes.CALL):
            raise RefusedError("scope_not_allowed", "This API key may not make calls.")
        kept = self._catalogs.get(key.organization_id)
        if kept is None or kept.value is None or kept.value.row.epoch < key.epoch:
            oldest = 0.0
        organization = key.organization_id
        catalog = await self._cached(
            self._catalogs, organization, lambda: self._catalog(organization), oldest
        )
        if catalog is None:
            raise RefusedError("invalid_api_key", "The API key is not valid.")
        known = catalog.callers.get(key.id)
        if known is None or known.key is not key:
            known = catalog.callers[key.id] = Caller.of(key, catalog)
        caller: Caller = known
        return caller

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
        }
        number = await self.lookup.period(question)
        if number is None:
            return None
        period = PeriodRow(number, int(starts.timestamp() * 1000), int(ends.timestamp() * 1000))
        budget.periods.append(period)
        return period

    def _fresh(self, digest: bytes) -> Caller | None:
        """Return a caller of whom everything was asked a moment ago: nearly every call's way."""
        now = time.monotonic()
        kept = self._keys.get(digest)
        if kept is None or kept.value is None or now - kept.at > FRESH:
            return None
        held = self._catalogs.get(kept.value.organization_id)
        if held is None or held.value is None or now - held.at > FRESH:
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
            await self._once("prices", self._load_prices)
        prices = self._prices[1] if self._prices else listings.read(())
        return Catalog(row, prices, time.monotonic())

    async def _load_prices(self) -> None:
        found = await self.lookup.prices()
        self._prices = (found.price_revision, await asyncio.to_thread(listings.read, found.prices))

    async def _cached(
        self, cache: dict[Any, _Kept], name: Any, ask: Callable[[], Awaitable[T]], oldest: float
    ) -> T:
        """Return a cached value; refresh it behind the call, or before it when it is too old."""
        kept = cache.get(name)
        age = time.monotonic() - kept.at if kept else OLD
        if kept is not None and age < min(FRESH, oldest):
            return cast("T", kept.value)
        task = self._refresh(cache, name, ask)
        if kept is not None and age < oldest:
            return cast("T", kept.value)
        return await asyncio.shield(task)

    def _refresh(
        self, cache: dict[Any, _Kept], name: Any, ask: Callable[[], Awaitable[T]]
    ) -> "asyncio.Task[T]":
        async def fill() -> T:
            at = time.monotonic()
            value = await ask()
            if len(cache) >= KEPT:
                cache.pop(next(iter(cache)))
            cache[name] = _Kept(value, at)
            return value

        return self._start(name, fill)

    async def _once(self, name: Any, ask: Callable[[], Awaitable[T]]) -> T:
        return await asyncio.shield(self._start(name, ask))

    def _start(self, name: Any, ask: Callable[[], Awaitable[T]]) -> "asyncio.Task[T]":
        """Start a question, or join the same one that is on its way."""
        task = self._asking.get(name)
        if task is None:
            task = asyncio.ensure_future(ask())
            self._asking[name] = task
            task.add_done_callback(lambda done: self._ended(name, done))
        return task

    def _ended(self, name: Any, task: "asyncio.Task[Any]") -> None:
        self._asking.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waits meets it; a refresh in the background is tried again
