"""The shared price list's only writer: closes an old price, opens the new one, never edits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import connections, transaction
from django.db.models import Q

from attribution.prices import sanity
from attribution.prices.models import Price, PriceStatus
from attribution.prices.published import ListedPrice
from attribution.prices.rates import Rates
from attribution.prices.second import NAME, SecondList

SOURCE = "seed"
WRITER = "owner"  # the database role that alone may write rows without organization
DECIDED = "decided"  # in a price's sources: who took or refused it, and when
DISPUTED = "disputed"  # in a price's sources: it is in force although the second list differs


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did, in rows; `held` names models that leap, `differing` those two lists dispute.

    `disputed` names models of which the price stays in force although the second list differs.
    """

    opened: int = 0
    closed: int = 0
    unchanged: int = 0
    held: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    disputed: tuple[str, ...] = ()

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
    disputed: list[str] = field(default_factory=list)
    note: list[Price] = field(default_factory=list)  # only their sources change


def load(
    listed: Iterable[ListedPrice], *, at: datetime, second: SecondList | None = None
) -> LoadResult:
    """Bring the shared list up to `listed` as of `at`; loading the same again changes nothing.

    A model's first load brings its history. Later loads act from `at` on: what was priced before
    stays as it was priced. Models that left the list keep their price. What leaps tenfold, or
    differs from `second` by more than 1 %, waits for a person; what is in force stays in force and is
    marked. Concurrent loads queue.
    """
    with transaction.atomic(using=WRITER):
        lock()
        stored = _stored()
        changes = _Changes()
        for key, rows in groupby(listed, key=lambda row: (row.provider, row.model)):
            model = _Model(list(rows), stored.get(key, []), second, at)
            model.compare(changes)
        Price.objects.using(WRITER).bulk_update(changes.end, ["effective_to", "status"], 500)
        Price.objects.using(WRITER).bulk_update(changes.note, ["sources"], 500)
        Price.objects.using(WRITER).bulk_create(changes.open, 1_000)
    return LoadResult(
        len(changes.open),
        len(changes.end),
        changes.unchanged,
        tuple(sorted(changes.held)),
        tuple(sorted(changes.differing)),
        tuple(sorted(changes.disputed)),
    )


def lock() -> None:
    """Let nobody else write prices until the transaction ends."""
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
            if is_known and self.other is not None:
                self._note(changes, self.other)
        elif self._is_held(changes, is_same=wanted == [_said(r, self.at) for r in self.waiting]):
            return
        else:
            changes.end += [ended(row, self.at) for row in self.in_force]
            changes.end += [_retired(row) for row in self.waiting]
            changes.open += self._opened(PriceStatus.APPROVED)

    def _is_held(self, changes: _Changes, *, is_same: bool) -> bool:
        """Let a person decide what leaps or is disputed, and leave them what waits already."""
        leaps = bool(
            self.in_force
            and self.ahead
            and sanity.leaps(base(self.ahead[0]), base(self.in_force[0]))
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

    def _note(self, changes: _Changes, other: Rates) -> None:
        """Keep what the second list says of the price that is in force now, and name a dispute."""
        for price in self.in_force:
            sources = {name: said for name, said in price.sources.items() if name != DISPUTED}
            if price.effective_from <= self.at:
                is_settled = DECIDED in sources and sources.get(NAME) == other.as_dict()
                sources[NAME] = other.as_dict()
                if not is_settled and sanity.differences(price.rates, other):
                    sources[DISPUTED] = True
                    changes.disputed.append(f"{price.provider} {price.model}")
            if sources != price.sources:
                price.sources = sources
                changes.note.append(price)

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
        own = {SOURCE: base(row).as_dict()}
        if self.other is None or row not in self.ahead:
            return own
        return {**own, NAME: self.other.as_dict()}


def _said(row: ListedPrice | Price, at: datetime) -> tuple[object, ...]:
    """Return what a row says of the time from `at` on."""
    begins = max(row.effective_from, at)
    return begins, row.effective_to, row.match, row.rates, row.context_window


def base(row: ListedPrice | Price) -> Rates:
    """Return the base rates of a row."""
    return Rates.from_dict(row.rates["base"])


def ended(price: Price, at: datetime) -> Price:
    """End a price at `at`; one that has not begun is retired instead."""
    if price.effective_from >= at:
        return _retired(price)
    price.effective_to = at
    return price


def _retired(price: Price) -> Price:
    price.status = PriceStatus.RETIRED
    return price
