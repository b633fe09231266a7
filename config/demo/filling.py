"""Scales calls of the demo until they cost what its story says."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from attribution.prices import pricing
from attribution.prices.book import PriceBook
from attribution.prices.tokens import Tokens
from budgets.reservations import ingest


def filled(events: list[ingest.Event], wanted: Decimal) -> list[ingest.Event]:
    """Scale calls until they cost about `wanted`; larger calls may meet higher rates, so repeat."""
    for _ in range(6):
        spent = _cost(events)
        if not spent or abs(spent - wanted) < wanted / 500:
            break
        factor = min(Decimal(40), wanted / spent)
        events = [replace(e, tokens=_scaled(e.tokens, factor)) for e in events]
    return events


def _cost(events: Sequence[ingest.Event]) -> Decimal:
    if not events:
        return Decimal(0)
    book = PriceBook.between(events[0].occurred_at, events[-1].occurred_at)
    total = Decimal(0)
    for event in events:
        dated = book.find(event.model, event.provider, event.occurred_at)
        rates = pricing.rates_for(dated.card, event.tokens, at=event.occurred_at) if dated else None
        cost = pricing.cost(event.tokens, rates)
        total += cost.total if cost else 0
    return total


def _scaled(tokens: Tokens, factor: Decimal) -> Tokens:
    return Tokens.from_mapping({name: int(n * factor) for name, n in tokens.as_dict().items()})
