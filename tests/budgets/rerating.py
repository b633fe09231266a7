"""What the tests of re-rating share: calls to re-rate, prices, and the books that must stay clean."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import connection

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.ledger.models import AccountingPeriod, Rollup
from attribution.prices.models import Price
from attribution.prices.tokens import Tokens
from budgets.reservations import books, corrections, holds, ingest
from budgets.reservations.corrections import Preview, Selection
from budgets.reservations.ingest import Event
from tests.factories import make_price, unique

MODEL = "anvil-9"
TOKENS = Tokens(input=1_000_000, output=100_000)
DAY = timedelta(days=1)
RERATE = "budgets/reservations/rerate.sql"


def selection(now: datetime, **chosen: Any) -> Selection:
    """Choose the calls of the last minutes."""
    return Selection(now - timedelta(minutes=5), now + timedelta(minutes=1), **chosen)


def report(
    *times: datetime, model: str = MODEL, tokens: Tokens = TOKENS, **facts: Any
) -> list[UUID]:
    """Record calls made elsewhere; return their ids."""
    events = [
        Event(facts.pop("source", "test"), unique("event"), at, model, "acme", tokens, **facts)
        for at in times
    ]
    return [one.call_id for one in ingest.record(events) if one.call_id]


def priced(now: datetime, rate: str, **columns: Any) -> Price:
    """Open a price that was in force since yesterday."""
    rates = {"base": {"input": rate, "output": "10"}}
    values = {"model": MODEL, "provider": "acme", "effective_from": now - DAY, **columns}
    return make_price(rates=rates, **values)


def previewed(organization: UUID, chosen: Selection) -> Preview:
    """Preview a re-rating."""
    with tenant(organization):
        return corrections.preview(chosen)


def applied(organization: UUID, chosen: Selection) -> Preview:
    """Re-rate the first page of calls."""
    with tenant(organization):
        done, _ = corrections.apply(chosen, by=SYSTEM, reason="test", after=None)
    return done


def carried(now: datetime, **usage: Any) -> None:
    """Let a gateway settle a call of a model without a price."""
    call = holds.Call(holds.mint(now))
    holds.reserve(call, Decimal(9), at=now, worker_id=uuid4(), provider="acme")
    columns = {"input_tokens": 1_000_000, "usage": {"input": 1_000_000, **usage}, "lines": []}
    holds.settle(call.id, None, model_billed=MODEL, upstream_id=str(uuid4()), **columns)


def shut(month: date, state: str) -> None:
    """Set the state of a month."""
    AccountingPeriod.objects.update_or_create(month=month, defaults={"state": state})


def stale(call: UUID, **facts: Any) -> dict[str, Any]:
    """Return what asks for a cost of 2 for an unpriced call."""
    lines = [{"token_class": "input", "quantity": 1, "usd_amount": "2"}]
    values = {"was_cost": None, "cost": "2", "price_version": 1, "lines": lines}
    return {"id": str(call), **values, **facts}


def ask(
    organization: UUID, calls: list[dict[str, Any]], *, function: str = "budgets_rerate"
) -> str:
    """Ask budgets_rerate about one call."""
    argument = {"organization_id": str(organization), "reason": "test", "calls": calls}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT outcome FROM {function}(%s::jsonb)", [json.dumps(argument)])  # noqa: S608  # a name of ours
        (outcome,) = cursor.fetchone()
    return str(outcome)


def clean(organization: UUID) -> None:
    """Rebuild the rollups and verify the books."""
    rollups.advance()
    live = rolled_up(organization)
    rollups.rebuild()
    assert rolled_up(organization) == live
    with tenant(organization):
        assert [str(breach) for breach in books.verify()] == []


def rolled_up(organization: UUID) -> list[dict[str, Any]]:
    """Return the rollups that say something."""
    with tenant(organization):
        names = [f.attname for f in Rollup._meta.concrete_fields if f.attname != "id"]
        rows = list(
            Rollup.objects.order_by(
                "grain", "facet", "bucket", "provider", "model", "value"
            ).values(*names)
        )
    return [row for row in rows if any(v for k, v in row.items() if k.endswith(("s", "amount")))]
