"""Rows with valid defaults. All but people and organizations are made inside `tenant`."""

import json
import os
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from django.db import connection
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import required, tenant
from attribution.prices.models import Price
from attribution.tenancy import blocks
from attribution.tenancy.blocks import Target
from attribution.tenancy.models import (
    Block,
    BlockedKind,
    CostCenter,
    Department,
    Membership,
    Organization,
    Role,
    User,
)
from budgets.forecasts.models import Forecast
from budgets.limits import revisions
from budgets.limits.amounts import BudgetOverride
from budgets.limits.models import Budget, BudgetPeriod, Threshold
from budgets.reservations.models import Rerating
from gateway.keys.models import ApiKey, RateLimit
from gateway.routes.models import DowngradeRule, Route, RouteTarget
from gateway.upstreams.models import Upstream

PASSWORD = "correct horse battery staple"
RATES = {"base": {"input": "1", "output": "2"}}


def make_organization(*, slug: str = "", name: str = "Acme", **columns: Any) -> Organization:
    """Create an organization, in a tenant transaction of its own."""
    organization = Organization(slug=slug or unique("org"), name=name, **columns)
    with tenant(organization.pk):
        organization.save(force_insert=True)
    return organization


def make_user(*, email: str = "", name: str = "", **columns: Any) -> User:
    """Create a person who belongs nowhere yet."""
    address = email or f"{unique('person')}@example.com"
    return User.objects.create_user(address, PASSWORD, name=name, **columns)


def make_member(
    *, role: Role = Role.OWNER, user: User | None = None, department: Department | None = None
) -> Membership:
    """Create a membership, and its person unless given."""
    person = user or make_user()
    return Membership.objects.create(user=person, role=role, department=department)


def make_department(*, name: str = "", parent: Department | None = None) -> Department:
    """Create a department."""
    return Department.objects.create(name=name or unique("department"), parent=parent)


def make_cost_center(
    *, code: str = "", name: str = "Research", department: Department | None = None
) -> CostCenter:
    """Create a cost center."""
    return CostCenter.objects.create(
        code=code or unique("cc").upper(), name=name, department=department
    )


def make_budget(
    *,
    limit: str = "100",
    name: str = "",
    scope: str = "organization",
    scope_id: uuid.UUID | None = None,
    scope_value: str = "",
    enforcement: str = "block",
    period: str = "month",
    thresholds: Iterable[str] = ("80",),
    at: datetime | None = None,
    **columns: Any,
) -> Budget:
    """Create a budget with its limit, percent thresholds and running period."""
    budget = Budget(
        name=name or unique("budget"),
        scope=scope,
        scope_id=scope_id,
        scope_value=scope_value,
        enforcement=enforcement,
        period=period,
        **columns,
    )
    return revisions.create(
        budget,
        amount=Decimal(limit),
        at=at or timezone.now(),
        by=SYSTEM,
        thresholds=[Threshold(value=Decimal(value)) for value in thresholds],
    )


def make_override(*, budget: Budget, amount: str = "10", **columns: Any) -> BudgetOverride:
    """Note an override that nobody has approved yet."""
    now = timezone.now()
    values: dict[str, Any] = {"starts_at": now, "ends_at": now + timedelta(hours=1), **columns}
    return BudgetOverride.objects.create(
        budget=budget, amount=Decimal(amount), **{"reason": "a launch", **values}
    )


def make_forecast(*, budget: Budget, p50: str = "90", **columns: Any) -> Forecast:
    """Keep a forecast of a budget's running period."""
    now = timezone.now()
    period = BudgetPeriod.objects.get(budget=budget, starts_at__lte=now, ends_at__gt=now)
    yesterday = now.date() - timedelta(days=1)
    values: dict[str, Any] = {"status": "ok", "method": "weekday", "days": 20, **columns}
    return Forecast.objects.create(
        budget_period=period,
        p50=Decimal(p50),
        through_on=yesterday,
        outline={"first": now.date(), "method": "weekday", "past": [], "expected": [p50]},
        modelled_at=now,
        computed_at=now,
        **values,
    )


def make_price(*, model: str = "", provider: str = "openai", **columns: Any) -> Price:
    """Create a price of the organization's own."""
    values: dict[str, Any] = {"rates": RATES, "effective_from": timezone.now(), **columns}
    return Price.objects.create(
        organization_id=required(), provider=provider, model=model or unique("model"), **values
    )


def make_rerating(*, reason: str = "the price came late", **columns: Any) -> Rerating:
    """Note a re-rating that nobody carries on."""
    now = timezone.now()
    values: dict[str, Any] = {"starts_at": now, "ends_at": now, "finished_at": now, **columns}
    return Rerating.objects.create(reason=reason, **values)


def make_proposal(*, model: str = "waiting-1", **columns: Any) -> int:
    """Let a price of the shared list wait for people; it is there for every test of the run."""
    rates = {"base": {"input": "2", "output": "10"}}
    values = {"rates": rates, "sources": {"seed": rates["base"]}, "match": {}, **columns}
    owner_url = os.environ.get("OWNER_DATABASE_URL", os.environ["DATABASE_URL"])
    texts = [json.dumps(values[name]) for name in ("rates", "sources", "match")]
    with psycopg.connect(owner_url, autocommit=True) as owner:
        row = owner.execute(
            "SELECT id FROM price WHERE provider = 'list' AND model = %s AND status = 'draft'",
            [model],
        ).fetchone()
        row = (
            row
            or owner.execute(
                "INSERT INTO price (provider, model, rates, sources, match, currency, effective_from,"
                " source, status, created_at) VALUES ('list', %s, %s, %s, %s, 'USD', now(), 'seed',"
                " 'draft', now()) RETURNING id",
                [model, *texts],
            ).fetchone()
        )
    assert row
    return int(row[0])


def make_upstream(*, name: str = "", kind: str = "demo", **columns: Any) -> Upstream:
    """Create an upstream without credential."""
    return Upstream.objects.create(name=name or unique("upstream"), kind=kind, **columns)


def make_route(*, name: str = "", upstream: Upstream | None = None) -> Route:
    """Create a route to one upstream."""
    route = Route.objects.create(name=name or unique("route"))
    RouteTarget.objects.create(route=route, upstream=upstream or make_upstream())
    return route


def make_key(*, name: str = "", cost_center: CostCenter | None = None, **columns: Any) -> ApiKey:
    """Create an API key that nobody has the secret of."""
    return ApiKey.objects.create(
        name=name or unique("key"),
        kid=secrets.token_hex(6),
        secret_hash=secrets.token_bytes(32),
        cost_center=cost_center,
        **columns,
    )


def make_rate_limit(*, cost_center: CostCenter | None = None, **limits: int) -> RateLimit:
    """Limit a cost center, or the organization."""
    return RateLimit.objects.create(cost_center=cost_center, **limits)


def make_block(*, name: str = "", is_standing: bool = False) -> Block:
    """Keep that a key nobody has was blocked, once or still."""
    target = Target(BlockedKind.API_KEY, uuid.uuid4(), name or unique("blocked"))
    at = timezone.now()
    block = blocks.impose(target, reason=name or "it leaked", is_cut=False, by=SYSTEM, at=at)
    if not is_standing:
        blocks.lift(block, by=SYSTEM, at=at)
    return block


def make_rule(*, budget: Budget, name: str = "", **columns: Any) -> DowngradeRule:
    """Create a downgrade rule for all models."""
    values: dict[str, Any] = {"asked_models": ["*"], "to_model": "small", **columns}
    return DowngradeRule.objects.create(name=name or unique("rule"), budget=budget, **values)


def make_call(
    *,
    cost: str = "0.01",
    cost_center: CostCenter | None = None,
    model: str = "gpt-4.1",
    user: str = "",
    state: str = "settled",
    error_code: str = "",
) -> uuid.UUID:
    """Reserve and finish a call in the running periods of the organization; return its id."""
    call_id = new_id(timezone.now())
    assert (
        _reserve(call_id, amount=cost, cost_center=cost_center, model_requested=model, user_id=user)
        == "granted"
    )
    if state != "held":
        end = {"id": str(call_id), "state": state, "cost": cost, "cost_source": "usage"}
        lines = [{"token_class": "input", "quantity": "100", "usd_amount": cost}]
        _outcome(
            "SELECT outcome FROM budgets_settle(%s::jsonb)",
            [{**end, "model_billed": model, "error_code": error_code, "lines": lines}],
        )
    return call_id


def call_outcome(*, amount: str) -> str:
    """Ask for admission of a call that may cost `amount`; return what became of it."""
    return _reserve(new_id(timezone.now()), amount=amount, cost_center=None)


def new_id(at: datetime) -> uuid.UUID:
    """Mint a UUIDv7 of an instant."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT uuid7_at(%s)", [at])
        (minted,) = cursor.fetchone()
    return uuid.UUID(str(minted))


def unique(word: str) -> str:
    """Return a word that no other row has."""
    return f"{word}-{uuid.uuid4().hex[:8]}"


def _reserve(
    call_id: uuid.UUID, *, amount: str, cost_center: CostCenter | None, **columns: str
) -> str:
    now = timezone.now()
    periods = BudgetPeriod.objects.filter(
        budget__scope="organization", starts_at__lte=now, ends_at__gt=now
    )
    places = [cost_center.pk, cost_center.department_id] if cost_center else [None, None]
    center, department = (str(place) if place else None for place in places)
    call = {
        "id": str(call_id),
        "organization_id": str(required()),
        "epoch": Organization.objects.get(pk=required()).policy_epoch,
        "amount": amount,
        "periods": list(periods.values_list("pk", flat=True)),
        "cost_center_id": center,
        "department_id": department,
        **columns,
    }
    body = {"worker": str(uuid.uuid4()), "calls": [call]}
    return _outcome("SELECT outcome FROM budgets_admit(%s::jsonb)", body)


def _outcome(statement: str, body: object) -> str:
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(body)])
        (outcome,) = cursor.fetchone()
    return str(outcome)
