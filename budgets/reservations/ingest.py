"""Calls made elsewhere: settled at once, without a hold, idempotent for ever by source and event."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from attribution import money
from attribution.isolation.transaction import required
from attribution.prices import pricing
from attribution.prices.book import PriceBook
from attribution.prices.tokens import Tokens
from attribution.tenancy.models import CostCenter, Organization, UnknownCostCenter
from attribution.usage import partitions
from attribution.usage.models import CostSource, floor_id

MOST = 10_000  # events of one batch, which is one transaction
MOST_COST = Decimal(100_000)  # of one call, in USD: more is a mistake, and could overflow sums
_RANDOM_BITS = 74  # of a UUIDv7, beside its time, version and variant


class IngestError(ValueError):
    """A batch that cannot be recorded as a whole."""

    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class Event:
    """One call as its reporter tells it; `cost` only where the provider stated it."""

    source: str
    event_id: str
    occurred_at: datetime
    model: str
    provider: str = ""
    tokens: Tokens = field(default_factory=Tokens)
    searches: int = 0
    cost: Decimal | None = None
    service_tier: str = ""
    cost_center: str = ""
    # any of: user_id, path, feature, session_id, feature_flag, environment, tags, prompt_name,
    # api_key_id, api_key_name, http_status, error_code, first_byte_ms, total_ms, is_stream
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of an event: recorded, duplicate or rejected (then `error` says why)."""

    event_id: str
    result: str
    call_id: uuid.UUID | None = None
    cost: Decimal | None = None
    error: str = ""


def prepare(first: date, last: date) -> None:
    """Create the partitions of the months from `first` to `last`; outside of any long transaction."""
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    partitions.create(first, months=months)


def record(events: Sequence[Event]) -> list[Recorded]:
    """Record up to 10,000 calls of the organization being served; answers in the order given.

    One transaction: the caller's. Events known by source and event id are duplicates, for ever.
    Takes the policy fence shared, then the budget periods that cover the calls.
    """
    if not events:
        return []
    if len(events) > MOST:
        raise IngestError(f"at most {MOST} events at once")
    desk = _Desk(events)
    rows = [desk.row(event) for event in events]
    accepted = [row for row in rows if "error" not in row]
    answers = iter(_ask(accepted))
    return [
        Recorded(event.event_id, "rejected", error=row["error"])
        if "error" in row
        else _recorded(row, next(answers))
        for event, row in zip(events, rows, strict=True)
    ]


def call_id(organization_id: uuid.UUID, event: Event) -> uuid.UUID:
    """Mint the id of an event: its time, then bits that are always the same for the same event."""
    name = f"{organization_id}\0{event.source}\0{event.event_id}".encode()
    digest = int.from_bytes(hashlib.sha256(name).digest()) & ((1 << _RANDOM_BITS) - 1)
    high, low = divmod(digest, 1 << 62)
    return uuid.UUID(int=floor_id(event.occurred_at).int | 7 << 76 | high << 64 | 2 << 62 | low)


class _Desk:
    """What a batch is priced and booked by: dated prices and the organization's cost centers."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.organization = Organization.objects.get(pk=required())
        times = [event.occurred_at for event in events]
        self.book = PriceBook.between(min(times), max(times))
        centers = list(CostCenter.objects.all())
        self.by_code = {center.code: center for center in centers}
        self.default = next(
            (one for one in centers if one.pk == self.organization.default_cost_center_id), None
        )

    def row(self, event: Event) -> dict[str, Any]:
        """Return the columns of one call, or the error for which it is not recorded."""
        center = self.by_code.get(event.cost_center) if event.cost_center else self.default
        is_unknown = bool(event.cost_center) and center is None
        if is_unknown and self.organization.unknown_cost_center == UnknownCostCenter.REFUSE:
            return {"error": "unknown_cost_center"}
        center = center or self.default
        priced = self._cost(event)
        if priced["cost"] is not None and Decimal(priced["cost"]) > MOST_COST:
            return {"error": "cost_too_large"}
        tokens = {f"{name}_tokens": count for name, count in event.tokens.as_dict().items()}
        return {
            **event.columns,
            **tokens,
            **priced,
            "id": str(call_id(self.organization.pk, event)),
            "source": event.source,
            "event_id": event.event_id,
            "provider": event.provider,
            "model_requested": event.model,
            "model_billed": event.model,
            "service_tier": event.service_tier,
            "cost_center_id": str(center.pk) if center else None,
            "department_id": str(center.department_id) if center and center.department_id else None,
            "is_attribution_flagged": is_unknown,
        }

    def _cost(self, event: Event) -> dict[str, Any]:
        if event.cost is not None:
            stated = {"token_class": "", "quantity": 0, "usd_amount": money.text(event.cost)}
            return {
                "cost": stated["usd_amount"],
                "cost_source": CostSource.PROVIDER.value,
                "lines": [stated, *_counts(event.tokens, "0")],
            }
        dated = self.book.find(event.model, event.provider, event.occurred_at)
        cost = _price(event, dated)
        return {
            "cost": money.text(cost.total) if cost else None,
            "cost_source": CostSource.USAGE.value,
            "price_version": dated.version if dated else None,
            "lines": _lines(cost.lines) if cost else _counts(event.tokens, None),
        }


def _price(event: Event, dated: pricing.DatedCard | None) -> pricing.Cost | None:
    if dated is None:
        return None
    rates = pricing.rates_for(
        dated.card, event.tokens, at=event.occurred_at, service_tier=event.service_tier
    )
    return pricing.cost(event.tokens, rates, searches=event.searches)


def _lines(lines: Iterable[pricing.Line]) -> list[dict[str, Any]]:
    return [
        {
            "token_class": line.token_class,
            "quantity": line.quantity,
            "unit_price": money.text(line.unit_price),
            "usd_amount": money.text(line.amount),
        }
        for line in lines
    ]


def _counts(tokens: Tokens, amount: str | None) -> list[dict[str, Any]]:
    """Return a line per token class where the money is stated elsewhere, or unknown."""
    return [
        {"token_class": name, "quantity": count, "usd_amount": amount}
        for name, count in tokens.as_dict().items()
    ]


def _ask(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    if not rows:
        return []
    argument = json.dumps({"organization_id": str(required()), "events": rows})
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, call_id, error FROM budgets_ingest(%s::jsonb)", [argument])
        answers: list[tuple[Any, ...]] = cursor.fetchall()
    return answers


def _recorded(row: Mapping[str, Any], answer: tuple[Any, ...]) -> Recorded:
    outcome, found, error = answer
    cost = Decimal(row["cost"]) if outcome == "recorded" and row["cost"] is not None else None
    return Recorded(row["event_id"], outcome, found, cost, error or "")
