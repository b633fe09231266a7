"""The shared price list's only writer: closes an old price, opens the new one, never edits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from django.db import connections, transaction

from attribution.prices.models import Price, PriceStatus
from attribution.prices.pricing import Card
from attribution.prices.published import ListedPrice
from attribution.prices.rates import FEES

SOURCE = "seed"
WRITER = "owner"  # the database role that alone may write rows without organization
LEAP = 10  # a rate that changes this much waits for a person


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did, in rows; `held` names models whose change waits for a person."""

    opened: int = 0
    closed: int = 0
    unchanged: int = 0
    held: tuple[str, ...] = ()

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


def load(listed: Iterable[ListedPrice], *, at: datetime) -> LoadResult:
    """Bring the shared list up to `listed` as of `at`; loading the same again changes nothing.

    A model's first load brings its history. Later loads act from `at` on: what was priced before
    stays as it was priced. Models that left the list keep their price. Concurrent loads queue.
    """
    with transaction.atomic(using=WRITER):
        _lock()
        stored = _stored()
        changes = _Changes()
        for key, rows in groupby(listed, key=lambda row: (row.provider, row.model)):
            _compare(list(rows), stored.get(key, []), changes, at=at)
        Price.objects.using(WRITER).bulk_update(changes.end, ["effective_to", "status"], 500)
        Price.objects.using(WRITER).bulk_create(changes.open, 1_000)
    return LoadResult(
        len(changes.open), len(changes.end), changes.unchanged, tuple(sorted(changes.held))
    )


def _lock() -> None:
    with connections[WRITER].cursor() as cursor:
        cursor.execute("LOCK TABLE price IN SHARE ROW EXCLUSIVE MODE")


def _stored() -> dict[tuple[str, str], list[Price]]:
    """Return the shared prices and what waits for a person, by model, in time order."""
    prices = (
        Price.objects.using(WRITER)
        .shared()
        .exclude(status=PriceStatus.RETIRED)
        .order_by("provider", "model", "effective_from")
    )
    grouped = groupby(prices, key=lambda price: (price.provider, price.model))
    return {key: list(rows) for key, rows in grouped}


def _compare(
    listed: list[ListedPrice], stored: list[Price], changes: _Changes, *, at: datetime
) -> None:
    """Note what it takes to bring one model's prices from `stored` to `listed`."""
    if not stored:
        changes.open += [_price(row) for row in listed]
        return
    ahead = [row for row in listed if row.effective_to is None or row.effective_to > at]
    current = [row for row in stored if row.effective_to is None or row.effective_to > at]
    in_force = [row for row in current if row.status == PriceStatus.APPROVED]
    wanted = [_said(row, at) for row in ahead]
    is_ours = all(row.source == SOURCE for row in in_force)  # a person's own price stays
    if not is_ours or wanted == [_said(row, at) for row in in_force]:
        changes.unchanged += len(in_force)
    elif _is_leap(in_force[:1], ahead[:1]):
        changes.held.append(f"{listed[0].provider} {listed[0].model}")
        waiting = [row for row in current if row.status == PriceStatus.DRAFT]
        if wanted != [_said(row, at) for row in waiting]:
            changes.open += [_price(row, at=at, status=PriceStatus.DRAFT) for row in ahead]
    else:
        changes.end += [_ended(row, at) for row in in_force]
        changes.open += [_price(row, at=at) for row in ahead]


def _said(row: ListedPrice | Price, at: datetime) -> tuple[object, ...]:
    """Return what a row says of the time from `at` on."""
    begins = max(row.effective_from, at)
    return begins, row.effective_to, row.match, row.rates, row.context_window


def _ended(price: Price, at: datetime) -> Price:
    """End a price at `at`; one that has not begun is retired instead."""
    if price.effective_from >= at:
        price.status = PriceStatus.RETIRED
    else:
        price.effective_to = at
    return price


def _is_leap(before: list[Price], after: list[ListedPrice]) -> bool:
    """Say whether a base rate changes tenfold or more: likelier a slip of the unit than a price."""
    if not before or not after:
        return False
    old = Card.from_dict(before[0].rates).standard.base.by_class
    new = Card.from_dict(after[0].rates).standard.base.by_class
    return any(_is_tenfold(old[name], new[name]) for name in old.keys() & new.keys() - set(FEES))


def _is_tenfold(old: Decimal | None, new: Decimal | None) -> bool:
    if not old or not new:
        return False
    return new >= old * LEAP or old >= new * LEAP


def _price(
    row: ListedPrice, *, at: datetime | None = None, status: PriceStatus = PriceStatus.APPROVED
) -> Price:
    return Price(
        provider=row.provider,
        model=row.model,
        match=row.match,
        rates=row.rates,
        context_window=row.context_window,
        effective_from=max(row.effective_from, at) if at else row.effective_from,
        effective_to=row.effective_to,
        source=SOURCE,
        status=status,
    )
