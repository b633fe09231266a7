"""What whoever runs the installation decides about waiting prices of the shared list, for everybody."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import current
from attribution.prices import sanity
from attribution.prices.catalog import DECIDED, DISPUTED, WRITER, base, ended, lock
from attribution.prices.models import Price, PriceQuerySet, PriceStatus
from attribution.prices.rates import Rates
from attribution.prices.sanity import Difference, Doubt
from attribution.prices.second import NAME


class NotWaitingError(ValueError):
    """The price does not wait for a person any more: somebody else decided, or the list changed."""

    code = "price_not_waiting"


class ConfirmationNeededError(ValueError):
    """A rate looks like a slip of the unit; accepting it is said twice."""

    code = "confirmation_needed"

    def __init__(self, doubts: list[Doubt]) -> None:
        super().__init__(", ".join(doubt.token_class for doubt in doubts))
        self.doubts = doubts


def waiting() -> PriceQuerySet:
    """Return the shared prices that wait for a person."""
    return Price.objects.shared().filter(status=PriceStatus.DRAFT)


def compared(price: Price) -> list[Difference]:
    """Return the rates of a price of which the second list says something else, with both values."""
    if NAME not in price.sources:
        return []
    return sanity.differences(price.rates, Rates.from_dict(price.sources[NAME]))


def is_single_source(price: Price) -> bool:
    """Say whether only one list is known to state a price."""
    return len(price.sources.keys() - {DECIDED, DISPUTED}) < 2


def accept(draft: Price, *, by: Actor, at: datetime, is_confirmed: bool = False) -> list[Price]:
    """Put a model's waiting prices in force from `at` on and end those they follow.

    A model that had no price is priced from the draft's own start: its unpriced calls can be
    re-rated. Raises ConfirmationNeededError for a slip of the unit unless `is_confirmed`. Locks the
    table: the caller's own transaction has written no price.
    """
    with transaction.atomic(using=WRITER):
        drafts, ending = _decide(draft, at)
        before = base(ending[0]) if ending else None
        doubts = [doubt for one in drafts for doubt in sanity.doubts(base(one), before)]
        if doubts and not is_confirmed:
            raise ConfirmationNeededError(doubts)
        for price in ending:
            ended(price, at).save(using=WRITER, update_fields=["effective_to", "status"])
        for price in drafts:
            if ending:
                price.effective_from = max(price.effective_from, at)
            price.status = PriceStatus.APPROVED
            _sign(price, "accepted", by=by, at=at)
    return drafts


def reject(draft: Price, *, by: Actor, at: datetime) -> list[Price]:
    """Retire a model's waiting prices; the same rates do not come back with the next load."""
    with transaction.atomic(using=WRITER):
        drafts, _ = _decide(draft, at)
        for price in drafts:
            price.status = PriceStatus.RETIRED
            _sign(price, "rejected", by=by, at=at)
    return drafts


def _decide(draft: Price, at: datetime) -> tuple[list[Price], list[Price]]:
    """Return what waits of a model, and what is in force or to come, in time order; locked."""
    lock()
    ahead = Q(effective_to=None) | Q(effective_to__gt=at)
    shared = Price.objects.using(WRITER).shared().order_by("effective_from")
    rows = list(shared.filter(ahead, provider=draft.provider, model=draft.model))
    drafts = [row for row in rows if row.status == PriceStatus.DRAFT]
    if draft.pk not in {row.pk for row in drafts}:
        raise NotWaitingError(str(draft))
    return drafts, [row for row in rows if row.status == PriceStatus.APPROVED]


def _sign(price: Price, action: str, *, by: Actor, at: datetime) -> None:
    decision = {"as": action, "by": by.kind, "id": str(by.id or ""), "at": at.isoformat()}
    price.sources = {**price.sources, DECIDED: decision}
    price.save(using=WRITER)
    if current() is not None:  # the books of the organization in which the person works
        trail.append(f"price.{action}", by=by, on=price, after=trail.snapshot(price))
