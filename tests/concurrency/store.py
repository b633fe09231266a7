"""A small world at the store layer: organizations with nested budgets, and calls as the gateway sends them.

Also variants of the money functions with a protecting line removed, installed beside the real ones
in a schema of their own: a control test must see the harm that the line prevents.
"""

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from django.utils import timezone
from psycopg import sql

from attribution.isolation.operations import functions_in
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import CostCenter, Organization
from budgets.limits.amounts import LimitVersion
from budgets.limits.models import Budget, BudgetPeriod, Threshold

ROOT = Path(__file__).resolve().parent.parent.parent
ADMIT = "budgets_admit"
SETTLE = "budgets_settle"


@dataclass(frozen=True)
class World:
    """An organization with nested budgets that one key's calls fall under."""

    organization_id: uuid.UUID
    cost_center_id: uuid.UUID
    periods: list[int]
    key_id: uuid.UUID = field(default_factory=uuid.uuid4)
    worker_id: uuid.UUID = field(default_factory=uuid.uuid4)

    def call(self, amount: str, **more: Any) -> dict[str, Any]:
        """Return a call that holds `amount` USD in every period of this world."""
        return {
            "id": str(new_id()),
            "organization_id": str(self.organization_id),
            "api_key_id": str(self.key_id),
            "cost_center_id": str(self.cost_center_id),
            "epoch": 1,
            "amount": amount,
            "periods": self.periods,
            "deadline_s": 60,
            **more,
        }

    def admit(
        self, gateway: psycopg.Connection, calls: list[dict[str, Any]], *, function: str = ADMIT
    ) -> list[str]:
        """Ask for admission of many calls at once; return the outcomes in order."""
        body = {"worker": str(self.worker_id), "calls": calls}
        rows = gateway.execute(
            _ask(function),
            [json.dumps(body)],
        )
        return [row[0] for row in rows.fetchall()]

    def figures(self) -> list[tuple[Decimal, Decimal, Decimal, Decimal]]:
        """Return limit, spent, held and uncertain of each period."""
        with tenant(self.organization_id):
            rows = BudgetPeriod.objects.order_by("id")
            return list(rows.values_list("limit_amount", "spent", "held", "uncertain"))

    def overshoot(self) -> Decimal:
        """Return by how much the worst period passes its limit; not positive when none does."""
        return max(
            spent + held + uncertain - limit for limit, spent, held, uncertain in self.figures()
        )


def make_world(
    *,
    limits: list[str],
    enforcement: str = "block",
    filters: list[dict[str, list[str]]] | None = None,
) -> World:
    """Create an organization with one budget per limit, every one of them covering all its calls."""
    organization = Organization(slug=f"o{uuid.uuid4().hex[:12]}", name="Races")
    now = timezone.now()
    with tenant(organization.id):
        organization.save(force_insert=True)
        center = CostCenter.objects.create(code="RND", name="Research")
        chosen = filters or [{} for _ in limits]
        periods = [
            _open_budget(n, limit, enforcement, now, chosen[n]) for n, limit in enumerate(limits)
        ]
    return World(organization.id, center.id, periods)


def settled(call: dict[str, Any], cost: str) -> dict[str, Any]:
    """Return the settlement of a call at `cost` USD."""
    return {"id": call["id"], "state": "settled", "cost": cost, "cost_source": "usage"}


def resolve(
    gateway: psycopg.Connection, items: list[dict[str, Any]], *, function: str = SETTLE
) -> list[str]:
    """Settle, release or give up calls; return the outcomes in order of their ids."""
    rows = gateway.execute(
        _ask(function),
        [json.dumps(items)],
    )
    return [row[0] for row in rows.fetchall()]


def new_id(at: float | None = None) -> uuid.UUID:
    """Mint a UUIDv7 of now, or of an instant in seconds since 1970."""
    milliseconds = int((time.time() if at is None else at) * 1000)
    raw = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return uuid.UUID(bytes=bytes(raw))


@contextmanager
def without(owner_dsn: str, path: str, change: Callable[[str], str]) -> Iterator[str]:
    """Install a variant of an SQL function with a line removed; yield the schema it stands in.

    The variant is looked up before the real one by whoever calls it through that schema, and so are
    its siblings installed in the same schema.
    """
    schema = f"control_{uuid.uuid4().hex[:8]}"
    text = (ROOT / path).read_text()
    weakened = change(text)
    assert weakened != text, "the line to remove was not found"
    (name,) = functions_in(weakened)
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(f"CREATE SCHEMA {schema}")
        owner.execute(
            f"GRANT USAGE, CREATE ON SCHEMA {schema} TO tollkeeper_ledger, tollkeeper_gateway, tollkeeper_app"
        )
        for part in [weakened, *_callers(path)]:
            _install(owner, schema, part, weak=name)
        try:
            yield schema
        finally:
            owner.execute(f"DROP SCHEMA {schema} CASCADE")


def _ask(function: str) -> sql.Composed:
    """Return the statement that asks a money function, or a variant of it, for outcomes."""
    return sql.SQL("SELECT outcome FROM {}(%s::jsonb)").format(sql.Identifier(*function.split(".")))


def _callers(path: str) -> list[str]:
    """Return the functions through which a shared function is reached from outside."""
    callers = {
        "resolve.sql": ("budgets/reservations/settle.sql", "budgets/reservations/expire.sql"),
        "backfill.sql": ("budgets/limits/period.sql",),
    }
    return [(ROOT / name).read_text() for name in callers.get(path.rpartition("/")[2], ())]


def _install(owner: psycopg.Connection, schema: str, text: str, *, weak: str) -> None:
    moved = text.replace("CREATE OR REPLACE FUNCTION ", f"CREATE OR REPLACE FUNCTION {schema}.")
    moved = re.sub(rf"(FROM|PERFORM) {weak}\(", rf"\1 {schema}.{weak}(", moved)
    owner.execute(moved)  # the text of a file
    (name,) = functions_in(text)
    owner.execute(f"ALTER FUNCTION {schema}.{name} OWNER TO tollkeeper_ledger")
    owner.execute(
        f"GRANT EXECUTE ON FUNCTION {schema}.{name} TO tollkeeper_gateway, tollkeeper_app"
    )


def _open_budget(
    n: int, limit: str, enforcement: str, now: datetime, filters: dict[str, list[str]]
) -> int:
    budget = Budget.objects.create(
        name=f"budget {n}", scope="organization", enforcement=enforcement, filters=filters
    )
    LimitVersion.objects.create(budget=budget, amount=limit, effective_at=now)
    for percent in ("50", "80", "100"):
        Threshold.objects.create(budget=budget, value=percent)
    return open_period(budget, now)


def open_period(budget: Budget, now: datetime) -> int:
    """Open a period of two days around an instant."""
    window = {
        "organization_id": str(budget.organization_id),
        "budget_id": str(budget.id),
        "starts_at": (now - timedelta(days=1)).astimezone(UTC).isoformat(),
        "ends_at": (now + timedelta(days=1)).astimezone(UTC).isoformat(),
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT budgets_period(%s::jsonb)", [json.dumps(window)])
        (period,) = cursor.fetchone()
    return int(period)
