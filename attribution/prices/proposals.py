"""What an organization does about waiting prices of the shared list: it decides for itself alone.

The list is everybody's, so accepting opens a price of the organization's own with the listed rates;
rejecting keeps what is in force. Whoever runs the installation decides for all: `acceptance.accept`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from attribution import money
from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.prices import acceptance, overrides, sanity
from attribution.prices.acceptance import ConfirmationNeededError, NotWaitingError
from attribution.prices.models import (
    Price,
    PriceDecision,
    PriceProposal,
    PriceQuerySet,
    PriceStatus,
    Verdict,
)
from attribution.prices.rates import ALL_RATES, Rates
from attribution.prices.sanity import Doubt
from attribution.prices.second import NAME


@dataclass(frozen=True, slots=True)
class Row:
    """One rate: what is paid now, and what each list says; None where it states nothing."""

    name: str
    in_force: Decimal | None
    listed: Decimal | None
    second: Decimal | None
    is_disputed: bool

    @property
    def difference(self) -> Decimal | None:
        """Return by what share the second list differs from the first."""
        if self.listed is None or self.second is None or not self.listed:
            return None
        return money.EXACT.divide(money.EXACT.subtract(self.second, self.listed), self.listed)

    @property
    def change(self) -> Decimal | None:
        """Return by what share the listed rate differs from the one in force."""
        if self.listed is None or not self.in_force:
            return None
        return money.EXACT.divide(money.EXACT.subtract(self.listed, self.in_force), self.in_force)


def proposals(*, is_decided: bool = False) -> PriceQuerySet:
    """Return the prices that the organization has not, or has, decided about.

    These are prices of the shared list that wait, and those in force that the second list disputes,
    unless the organization pays a price of its own.
    """
    decided = PriceDecision.objects.values("price_id")
    own = Price.objects.own().filter(
        provider=OuterRef("provider"), model=OuterRef("model"), effective_to=None
    )
    waits = Q(status=PriceStatus.DRAFT)
    is_open = Q(effective_to=None) | Q(effective_to__gt=Now())
    disputed = Q(status=PriceStatus.APPROVED, sources__disputed=True) & is_open
    found = PriceProposal.objects.filter(waits | (disputed & ~Exists(own)), organization=None)
    return found.filter(pk__in=decided) if is_decided else found.exclude(pk__in=decided)


def is_in_force(proposal: Price) -> bool:
    """Say whether it is paid already: then it can be kept, or replaced by a price of one's own."""
    return proposal.status == PriceStatus.APPROVED


def in_force(proposal: Price, *, at: datetime) -> Price | None:
    """Return the price that the organization pays for the model: its own before the list's."""
    known = Price.objects.visible().open_at(at).filter(status=PriceStatus.APPROVED)
    named = known.filter(provider=proposal.provider, model=proposal.model)
    return named.order_by("organization").first()


def rows(proposal: Price, *, at: datetime) -> list[Row]:
    """Return every rate that one of the sources states, side by side."""
    found = in_force(proposal, at=at)
    now = _base(found) if found else Rates({})
    listed = _base(proposal)
    second = Rates.from_dict(proposal.sources.get(NAME, {}))
    disputed = {one.token_class for one in acceptance.compared(proposal)}
    named = [n for n in ALL_RATES if any(n in one.by_class for one in (now, listed, second))]
    return [
        Row(
            name,
            now.of(name) if found else None,
            listed.of(name),
            second.by_class.get(name),
            name in disputed,
        )
        for name in named
    ]


def begins(proposal: Price, *, at: datetime) -> datetime:
    """Return from when an accepted price applies: now, or its own start where none was in force."""
    return at if in_force(proposal, at=at) else proposal.effective_from


def doubts(proposal: Price, *, at: datetime) -> list[Doubt]:
    """Return the rates that are confirmed a second time."""
    if is_in_force(proposal):
        return []
    before = in_force(proposal, at=at)
    return sanity.doubts(_base(proposal), _base(before) if before else None)


def accept(
    proposal: Price, *, by: Actor, at: datetime, reason: str, is_confirmed: bool = False
) -> Price:
    """Open the listed rates as the organization's own price; return the version that begins first.

    What is in force already is kept as it is. Raises ConfirmationNeededError for a slip of the unit
    unless `is_confirmed`.
    """
    if is_in_force(proposal):
        _decide(proposal, Verdict.ACCEPTED, by=by, at=at, reason=reason)
        return proposal
    waiting = _waiting(proposal)
    found = [doubt for one in waiting for doubt in doubts(one, at=at)]
    if found and not is_confirmed:
        raise ConfirmationNeededError(found)
    start = begins(waiting[0], at=at)
    opened = overrides.adopt(waiting, at=start, by=by)
    for one, own in zip(waiting, opened, strict=True):
        _decide(one, Verdict.ACCEPTED, by=by, at=at, reason=reason, own=own)
    return opened[0]


def reject(proposal: Price, *, by: Actor, at: datetime, reason: str) -> None:
    """Keep what is in force; the proposal does not come back unless the list changes again."""
    for one in _waiting(proposal):
        _decide(one, Verdict.REJECTED, by=by, at=at, reason=reason)


def decision(proposal: Price) -> PriceDecision | None:
    """Return what the organization decided, if it did."""
    return PriceDecision.objects.filter(price_id=proposal.pk).first()


def _waiting(proposal: Price) -> Sequence[Price]:
    """Return all rows of the model that wait, in time order: they are decided together."""
    same = PriceProposal.objects.filter(
        organization=None,
        status=PriceStatus.DRAFT,
        provider=proposal.provider,
        model=proposal.model,
    )
    found = list(same.order_by("effective_from"))
    if proposal.pk not in {one.pk for one in found}:
        raise NotWaitingError(str(proposal))
    return found


def _decide(
    proposal: Price,
    verdict: Verdict,
    *,
    by: Actor,
    at: datetime,
    reason: str,
    own: Price | None = None,
) -> None:
    facts = {"verdict": verdict, "reason": reason, "decided_at": at, "decided_by": by.id}
    PriceDecision.objects.update_or_create(
        price_id=proposal.pk, defaults=facts | {"own_price_id": own.pk if own else None}
    )
    after = trail.snapshot(proposal) | {"reason": reason}
    trail.append(f"proposal.{verdict.value}", by=by, on=proposal, after=after)


def _base(price: Price) -> Rates:
    return Rates.from_dict(price.rates["base"])
