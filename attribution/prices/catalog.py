"""The shared price list's only writer: closes an old price, opens the new one, never edits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import connections, transaction
from django.db.models import Q

from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import current
from attribution.prices import sanity
from attribution.prices.models import Price, PriceQuerySet, PriceStatus
from attribution.prices.published import ListedPrice
from attribution.prices.rates import Rates
from attribution.prices.sanity import Difference, Doubt
from attribution.prices.second import NAME, SecondList

SOURCE = "seed"
WRITER = "owner"  # the database role that alone may write rows without organization
DECIDED = "decided"  # in a price's sources: who took or refused it, and when


class NotWaitingError(ValueError):
    """The price does not wait for a person any more: somebody else decided, or the list changed."""

    code = "price_not_waiting"


class ConfirmationNeededError(ValueError):
    """A rate looks like a slip of the unit; accepting it is said twice."""

    code = "confirmation_needed"

    def __init__(self, doubts: list[Doubt]) -> None:
        super().__init__(", ".join(doubt.token_class for doubt in doubts))
        self.doubts = doubts


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did, in rows; `held` names models that leap, `differing` those two lists dispute."""

    opened: int = 0
    closed: int = 0
    unchanged: int = 0
    held: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Say whether anything was written."""
        return bool(self.opened or self.closed)


@dataclass(slots=True)
class _Changes:
    """Rows to end, to retire and to open; written in this order, as no two may overlap."""

    end: list[Price] = field(default_factory=list)
    open: list[Price] = field(default_factory=list)
    unchanged: int = 0
    held: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)


def load(
    listed: Iterable[ListedPrice], *, at: datetime, second: SecondList | None = None
) -> LoadResult:
    """Bring the shared list up to `listed` as of `at`; loading the same again changes nothing.

    A model's first load brings its history. Later loads act from `at` on: what was priced before
    stays as it was priced. Models that left the list keep their price. What leaps tenfold, or
    differs from `second` by more than 1 %, waits for a person. Concurrent loads queue.
    """
    with transaction.atomic(using=WRITER):
        _lock()
        stored = _stored()
        changes = _Changes()
        for key, rows in groupby(listed, key=lambda row: (row.provider, row.model)):
            model = _Model(list(rows), stored.get(key, []), second, at)
            model.compare(changes)
        Price.objects.using(WRITER).bulk_update(changes.end, ["effective_to", "status"], 500)
        Price.objects.using(WRITER).bulk_create(changes.open, 1_000)
    return LoadResult(
        len(changes.open),
        len(changes.end),
        changes.unchanged,
        tuple(sorted(changes.held)),
        tuple(sorted(changes.differing)),
    )


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
    return len(price.sources.keys() - {DECIDED}) < 2


def accept(draft: Price, *, by: Actor, at: datetime, is_confirmed: bool = False) -> list[Price]:
    """Put a model's waiting prices in force from `at` on and end those they follow.

    A model that had no price is priced from the draft's own start: its unpriced calls can be
    re-rated. Raises ConfirmationNeededError for a slip of the unit unless `is_confirmed`. Locks the
    table: the caller's own transaction has written no price.
    """
    with transaction.atomic(using=WRITER):
        drafts, ending = _decide(draft, at)
        before = _base(ending[0]) if ending else None
        doubts = [doubt for one in drafts for doubt in sanity.doubts(_base(one), before)]
        if doubts and not is_confirmed:
            raise ConfirmationNeededError(doubts)
        for price in ending:
            _ended(price, at).save(using=WRITER, update_fields=["effective_to", "status"])
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
    _lock()
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


def _lock() -> None:
    with connections[WRITER].cursor() as cursor:
        cursor.execute("LOCK TABLE price IN SHARE ROW EXCLUSIVE MODE")


def _stored() -> dict[tuple[str, str], list[Price]]:
    """Return the shared prices, what waits and what was rejected, by model, in time order."""
    forgotten = Q(status=PriceStatus.RETIRED) & ~Q(sources__decided__as="rejected")
    prices = (
        Price.objects.using(WRITER)
        .shared()
        .exclude(forgotten)
        .order_by("provider", "model", "effective_from")
    )
    grouped = groupby(prices, key=lambda price: (price.provider, price.model))
    return {key: list(rows) for key, rows in grouped}


class _Model:
    """One model's rows as listed now and as stored, from `at` on."""

    def __init__(
        self,
        listed: list[ListedPrice],
        stored: list[Price],
        second: SecondList | None,
        at: datetime,
    ) -> None:
        self.at = at
        self.listed, self.stored = listed, stored
        self.ahead = [row for row in listed if row.effective_to is None or row.effective_to > at]
        current = [row for row in stored if row.effective_to is None or row.effective_to > at]
        self.in_force = [row for row in current if row.status == PriceStatus.APPROVED]
        self.waiting = [row for row in current if row.status == PriceStatus.DRAFT]
        self.rejected = [row.rates for row in current if row.status == PriceStatus.RETIRED]
        names = [listed[0].model, *listed[0].match.get("names", ())]
        self.other = second.find(listed[0].provider, names) if second else None

    def compare(self, changes: _Changes) -> None:
        """Note what it takes to bring the stored prices to the listed ones."""
        wanted = [_said(row, self.at) for row in self.ahead]
        is_ours = all(row.source == SOURCE for row in self.in_force)  # a person's own price stays
        is_known = bool(self.stored) and wanted == [_said(row, self.at) for row in self.in_force]
        if not is_ours or is_known or self._is_rejected():
            changes.unchanged += len(self.in_force)
        elif self._is_held(changes, is_same=wanted == [_said(r, self.at) for r in self.waiting]):
            return
        else:
            changes.end += [_ended(row, self.at) for row in self.in_force]
            changes.end += [_retired(row) for row in self.waiting]
            changes.open += self._opened(PriceStatus.APPROVED)

    def _is_held(self, changes: _Changes, *, is_same: bool) -> bool:
        """Let a person decide what leaps or is disputed, and leave them what waits already."""
        leaps = bool(
            self.in_force
            and self.ahead
            and sanity.leaps(_base(self.ahead[0]), _base(self.in_force[0]))
        )
        differs = self._differs()
        still = is_same and bool(self.waiting) and differs is None
        if not (leaps or differs or still):
            return False
        named = changes.differing if differs else changes.held
        named.append(f"{self.listed[0].provider} {self.listed[0].model}")
        if not is_same or not self.waiting:
            changes.end += [_retired(row) for row in self.waiting]
            changes.open += self._opened(PriceStatus.DRAFT)
        return True

    def _differs(self) -> bool | None:
        """Say whether the second list disputes the price in force; None when it knows nothing."""
        if self.other is None or not self.ahead:
            return None
        return bool(sanity.differences(self.ahead[0].rates, self.other))

    def _is_rejected(self) -> bool:
        return bool(self.rejected) and all(row.rates in self.rejected for row in self.ahead)

    def _opened(self, status: PriceStatus) -> list[Price]:
        """Return new rows: of a model's first load all, of others what is ahead, from `at` on."""
        if self.stored:
            return [self._price(row, status, since=self.at) for row in self.ahead]
        return [
            self._price(row, status if row in self.ahead else PriceStatus.APPROVED)
            for row in self.listed
        ]

    def _price(self, row: ListedPrice, status: PriceStatus, since: datetime | None = None) -> Price:
        return Price(
            provider=row.provider,
            model=row.model,
            match=row.match,
            rates=row.rates,
            context_window=row.context_window,
            effective_from=max(row.effective_from, since) if since else row.effective_from,
            effective_to=row.effective_to,
            source=SOURCE,
            sources=self._sources(row),
            status=status,
        )

    def _sources(self, row: ListedPrice) -> dict[str, Any]:
        """Return what each list states of a price that is not history."""
        own = {SOURCE: _base(row).as_dict()}
        if self.other is None or row not in self.ahead:
            return own
        return {**own, NAME: self.other.as_dict()}


def _said(row: ListedPrice | Price, at: datetime) -> tuple[object, ...]:
    """Return what a row says of the time from `at` on."""
    begins = max(row.effective_from, at)
    return begins, row.effective_to, row.match, row.rates, row.context_window


def _base(row: ListedPrice | Price) -> Rates:
    return Rates.from_dict(row.rates["base"])


def _ended(price: Price, at: datetime) -> Price:
    """End a price at `at`; one that has not begun is retired instead."""
    if price.effective_from >= at:
        return _retired(price)
    price.effective_to = at
    return price


def _retired(price: Price) -> Price:
    price.status = PriceStatus.RETIRED
    return price
