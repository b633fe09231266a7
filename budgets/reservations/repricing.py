"""What a settled call should have cost: today's knowledge of the price that was in force then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from attribution import money
from attribution.ledger.models import SHUT, AccountingPeriod
from attribution.prices import pricing
from attribution.prices.book import PriceBook
from attribution.prices.models import Price
from attribution.prices.pricing import Card, Cost, DatedCard
from attribution.prices.tokens import CLASSES, Tokens
from attribution.usage.models import UsageRecord


@dataclass(frozen=True, slots=True)
class Correction:
    """One call and what it should have cost."""

    call: UsageRecord
    price_version: int
    cost: Cost

    def as_dict(self) -> dict[str, Any]:
        """Write what budgets_rerate reads; a call without tokens still has an entry."""
        none = {"token_class": "", "quantity": 0, "usd_amount": "0"}
        was = self.call.cost
        return {
            "id": str(self.call.pk),
            "was_cost": None if was is None else money.text(was),
            "cost": money.text(self.cost.total),
            "price_version": self.price_version,
            "lines": [line.as_dict() for line in self.cost.lines] or [none],
        }


class Desk:
    """The prices in force at the time of some calls, and those that they were priced at."""

    def __init__(self, calls: Sequence[UsageRecord], *, start: datetime, end: datetime) -> None:
        self._book = PriceBook.between(start, end)
        self._shut = shut_months()
        versions = {call.price_version for call in calls if call.price_version is not None}
        self._versions = {row.pk: row for row in Price.objects.visible().filter(pk__in=versions)}

    def correction(self, call: UsageRecord) -> Correction | str:
        """Return what a call should have cost, or why it stays as it is."""
        if month_of(call) in self._shut:
            return "shut month"
        if (call.usage or {}).get("unpriceable"):
            return "unpriceable"
        return self._priced(call)

    def _priced(self, call: UsageRecord) -> Correction | str:
        old = self._versions.get(call.price_version or 0)
        new = self._in_force(call, old)
        if new is None:
            return "no price"
        if old is not None and new.version == old.pk and call.cost is not None:
            return "unchanged"
        if not self._is_reproduced(call, old):
            return "other terms"  # a count cut at its hold, a call that was free
        cost = self._cost(call, new.card)
        if cost is None:
            return "no price"
        return Correction(call, new.version, cost)

    def _in_force(self, call: UsageRecord, old: Price | None) -> DatedCard | None:
        """Return the price of the model that a call was priced as, else of the one it names."""
        if old is not None:
            return self._book.find(old.model, old.provider, call.occurred_at)
        for name in dict.fromkeys((call.model_billed, call.model_requested)):
            found = self._book.find(name, call.provider, call.occurred_at) if name else None
            if found is not None:
                return found
        return None

    def _is_reproduced(self, call: UsageRecord, old: Price | None) -> bool:
        """Say whether the price it names gives the cost that was booked: then only that is new."""
        if call.cost is None:
            return True
        cost = self._cost(call, Card.from_dict(old.rates)) if old else None
        return cost is not None and cost.total == call.cost

    def _cost(self, call: UsageRecord, card: Card) -> Cost | None:
        """Price a call on the terms of its upstream when it was made."""
        usage = call.usage or {}
        tokens = Tokens.from_mapping(call.tokens)
        at, terms = call.occurred_at, Decimal(usage.get("multiplier", "1"))
        own = card.multiplied(terms)
        rates = pricing.rates_for(own, tokens, at=at, service_tier=call.service_tier)
        cost = pricing.cost(tokens, rates, searches=usage.get("searches", 0))
        for other in usage.get("others", ()):
            cost = pricing.joined(cost, self._other(call, own, other, terms))
        return cost

    def _other(
        self, call: UsageRecord, own: Card, used: Mapping[str, Any], terms: Decimal
    ) -> Cost | None:
        """Price what another model used inside a call, or the billed one beside its sums."""
        counts = {name: count for name, count in used.items() if name in CLASSES}
        tokens, card, model = Tokens.from_mapping(counts), own, used.get("model")
        if model is not None and model != call.model_billed:
            found = self._book.find(model, call.provider, call.occurred_at)
            if found is None:
                return None
            card = found.card.multiplied(terms)
        rates = pricing.rates_for(card, tokens, at=call.occurred_at)
        return pricing.cost(tokens, rates)


def shut_months() -> set[date]:
    """Return the months in which nothing is re-rated; budgets_rerate looks again by itself."""
    months = AccountingPeriod.objects.filter(state__in=SHUT).values_list("month", flat=True)
    return set(months)


def month_of(call: UsageRecord) -> date:
    """Return the month in whose books a call stands, of UTC."""
    return call.occurred_at.astimezone(UTC).date().replace(day=1)
