"""Single questions to PostgreSQL: a key, an organization's catalogue, prices, secrets, the clock."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.proxy.bridge.clock import Clock
from gateway.proxy.bridge.pool import Pool, QuestionError
from gateway.routes.policy import Rule
from gateway.routes.targets import UpstreamRow

KEY = "SELECT gateway_lookup(%s::jsonb)::text"
CATALOG = "SELECT gateway_catalog(%s::jsonb)::text"
SECRET = "SELECT gateway_secret(%s::jsonb)::text"  # noqa: S105  a statement
USED = "SELECT gateway_used(%s::jsonb)::text"
STANDING = "SELECT budgets_standing(%s::jsonb)::text"
OUTLOOK = "SELECT budgets_outlook(%s::jsonb)::text"
PERIOD = "SELECT budgets_period(%s::jsonb)::text"
BEAT = "SELECT gateway_beat(%s::jsonb)::text"
EXPIRE = "SELECT budgets_expire(%s::jsonb)::text"
ATTEMPTS = "SELECT gateway_attempt(%s::jsonb)::text"
SETTLE = "SELECT count(*)::text FROM budgets_settle(%s::jsonb)"
READY = """
SELECT jsonb_build_object(
  'off', (SELECT coalesce(jsonb_agg(name), '[]') FROM pg_settings
           WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'),
  'is_ahead', NOT EXISTS (
    SELECT 1 FROM unnest(ARRAY['usage_record', 'attempt', 'reservation', 'ledger_entry']) AS t(name),
           generate_series(0, 2) AS m(n)
     WHERE to_regclass('public.' || t.name || '_'
             || to_char((now() AT TIME ZONE 'UTC') + make_interval(months => m.n), 'YYYYMM')) IS NULL))::text"""


class KeyRow(msgspec.Struct):
    """What `gateway_lookup` knows of a key."""

    id: str  # of the lineage: calls, budgets and limits go on when its secret is replaced
    key_id: str
    organization_id: str
    epoch: int
    name: str
    digest: str
    pepper_version: int
    is_active: bool
    enrich: str
    expires_ms: int | None = None
    cost_center_id: str | None = None
    is_cost_center_pinned: bool = False
    allowed_cost_centers: list[str] = []
    user_name: str = ""
    is_user_pinned: bool = False
    allowed_models: list[str] = []
    scopes: list[str] = []
    is_amount_hidden: bool = False
    max_output_tokens: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_streams: int | None = None


class OrganizationRow(msgspec.Struct):
    """The organization of a catalogue."""

    id: str
    slug: str
    time_zone: str
    is_active: bool
    unknown_cost_center: str
    fiscal_start_month: int
    default_cost_center_id: str | None = None
    anomaly_call_usd: str | None = None
    fail_open_when_db_down: bool = False


class CostCenterRow(msgspec.Struct):
    """A cost center and the departments above it, the nearest first."""

    id: str
    code: str
    is_active: bool
    department_id: str | None = None
    departments: list[str] = []


class PeriodRow(msgspec.Struct):
    """One budget period: half-open, milliseconds since 1970."""

    id: int
    starts_ms: int
    ends_ms: int


class BudgetRow(msgspec.Struct):
    """A budget and its current and next periods."""

    id: str
    name: str
    scope: str
    period: str
    time_zone: str
    enforcement: str
    wait_ms: int
    is_clamped: bool = False
    scope_id: str | None = None
    scope_value: str = ""
    filters: dict[str, Any] = {}
    calendar: dict[str, Any] = {}
    periods: list[PeriodRow] = []


class LimitRow(msgspec.Struct):
    """Rate limits of a cost center; without one, of the whole organization."""

    cost_center_id: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_streams: int | None = None


class BlockRow(msgspec.Struct):
    """What the kill switch stops: a key by its lineage, a cost center, or the organization."""

    kind: str
    target_id: str
    name: str
    is_cut: bool


class TargetRow(msgspec.Struct):
    """Where a route leads."""

    upstream_id: str
    provider_model: str
    position: int
    weight: int


class RouteRow(msgspec.Struct):
    """A public model name and its targets."""

    name: str
    targets: list[TargetRow]


class CatalogRow(msgspec.Struct):
    """All that is needed to serve one organization."""

    epoch: int
    price_revision: str
    prices: list[dict[str, Any]]
    organization: OrganizationRow
    cost_centers: list[CostCenterRow]
    budgets: list[BudgetRow]
    routes: list[RouteRow]
    upstreams: list[UpstreamRow]
    limits: list[LimitRow] = []
    blocks: list[BlockRow] = []  # what the kill switch stops
    rules: list[Rule] = []  # of budgets that are passed
    breaches: frozenset[tuple[str, str]] = frozenset()  # model and wire format of breached bounds


class StandingRow(msgspec.Struct):
    """How a budget stands; without bounds where its period was not opened yet."""

    id: str
    is_hard: bool
    limit: str
    spent: str
    held: str
    uncertain: str
    starts_ms: int | None = None
    ends_ms: int | None = None


class OutlookRow(msgspec.Struct):
    """What is known of a budget's future; amounts as text, days as ISO dates."""

    id: str
    state: str
    forecast: dict[str, str | None]


class PricesRow(msgspec.Struct):
    """The shared price list in force."""

    price_revision: str
    prices: list[dict[str, Any]]


class SecretRow(msgspec.Struct):
    """A sealed credential."""

    version: int
    base_url: str
    sealed: str | None = None


class BeatRow(msgspec.Struct):
    """The database's clock and the processes that live."""

    now_ms: int
    live: list[str]


class ReadyRow(msgspec.Struct):
    """What readiness wants to know of the database."""

    off: list[str]
    is_ahead: bool
    is_reachable: bool = True


class Lookup:
    """The questions, typed."""

    def __init__(self, pool: Pool) -> None:
        """Ask through `pool`."""
        self._pool = pool
        self.clock = Clock()

    async def keys(self, kid: str) -> list[KeyRow]:
        """Return the keys of this kid; the digest decides which one is meant."""
        answer = await self._pool.ask(KEY, {"kid": kid})
        return msgspec.json.decode(answer, type=list[KeyRow])

    async def catalog(self, organization_id: str) -> CatalogRow | None:
        """Return the catalogue of an organization."""
        answer = await self._pool.ask(CATALOG, {"organization_id": organization_id})
        return msgspec.json.decode(answer, type=CatalogRow | None)

    async def prices(self) -> PricesRow:
        """Return the shared price list."""
        return msgspec.json.decode(await self._pool.ask(CATALOG, {"prices": True}), type=PricesRow)

    async def secret(self, organization_id: str, upstream_id: str) -> SecretRow | None:
        """Return the sealed credential of an upstream."""
        question = {"organization_id": organization_id, "upstream_id": upstream_id}
        answer = await self._pool.ask(SECRET, question)
        return msgspec.json.decode(answer, type=SecretRow | None)

    async def used(self, keys: Sequence[Mapping[str, Any]]) -> None:
        """Note when keys were presented."""
        await self._pool.ask(USED, keys)

    async def standing(
        self, organization_id: str, budgets: Sequence[str], at_ms: int
    ) -> list[StandingRow]:
        """Return how budgets stand at an instant."""
        question = {"organization_id": organization_id, "budgets": budgets, "at_ms": at_ms}
        answer = await self._pool.ask(STANDING, question)
        return msgspec.json.decode(answer, type=list[StandingRow])

    async def outlook(
        self, organization_id: str, budgets: Sequence[str], at_ms: int
    ) -> list[OutlookRow]:
        """Return what is known of budgets' future; one that nobody evaluated yet is left out."""
        question = {"organization_id": organization_id, "budgets": budgets, "at_ms": at_ms}
        answer = await self._pool.ask(OUTLOOK, question)
        return msgspec.json.decode(answer, type=list[OutlookRow])

    async def period(self, question: Mapping[str, str]) -> int | None:
        """Open a period of a budget, or find it; None when the budget is archived."""
        return msgspec.json.decode(await self._pool.ask(PERIOD, question), type=int | None)

    async def beat(self, worker: Mapping[str, Any]) -> list[str]:
        """Say that this process lives, set the clock, return who lives."""
        asked = time.monotonic()
        answer = msgspec.json.decode(await self._pool.ask(BEAT, worker), type=BeatRow)
        self.clock.set(answer.now_ms, asked=asked, answered=time.monotonic())
        return answer.live

    async def expire(self, live: Sequence[str]) -> int:
        """Turn the holds of dead processes into uncertain charges; return how many."""
        return msgspec.json.decode(await self._pool.ask(EXPIRE, {"live": live}), type=int)

    async def attempts(self, failed: Sequence[Mapping[str, Any]]) -> None:
        """Note failed tries of calls."""
        await self._pool.ask(ATTEMPTS, failed)

    async def replay(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Settle what a dead process's journal tells; what is settled already stays as it is.

        An item that the ledger refuses is logged and left to the sweep; the others go through.
        """
        try:
            await self._pool.ask(SETTLE, items)
        except QuestionError:
            middle = len(items) // 2
            for half in (items[:middle], items[middle:]) if middle else ():
                await self.replay(half)

    async def ready(self) -> ReadyRow:
        """Ask whether the database keeps what it commits and has room for the coming months."""
        return msgspec.json.decode(await self._pool.ask(READY), type=ReadyRow)
