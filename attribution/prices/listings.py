"""Prices as the gateway receives them: a model's versions together, found by any of its names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from attribution.prices import pricing
from attribution.prices.matching import Catalogue
from attribution.prices.pricing import Card, DatedCard

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURRENCY = "USD"  # of the books
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Listing:
    """A model of a provider and its price versions in time order."""

    provider: str
    model: str
    match: Mapping[str, Any]
    versions: tuple[DatedCard, ...]
    currency: str = "USD"
    context_window: int | None = None
    max_output_tokens: int | None = None

    def at(self, instant: datetime) -> DatedCard | None:
        """Return the version in force at `instant`."""
        return pricing.price_at(self.versions, instant)

    def edges_ms(self) -> list[int]:
        """Return the instants at which another version comes into force, in ms since 1970."""
        ends = [version.effective_to for version in self.versions if version.effective_to]
        instants = [version.effective_from for version in self.versions] + ends
        return [(instant - EPOCH) // MILLISECOND for instant in instants]

    def multiplied(self, multiplier: Decimal) -> "Listing":
        """Return the listing with an upstream's discount or markup in every rate."""
        if multiplier == 1:
            return self
        cards = (replace(v, card=v.card.multiplied(multiplier)) for v in self.versions)
        return replace(self, versions=tuple(cards))


def read(rows: Iterable[Mapping[str, Any]]) -> Catalogue[Listing]:
    """Read the rows of the gateway's catalogue: one listing per provider and model.

    Names, context window and output limit are those of the newest version. A price in another
    currency is none: without a rate it would be taken for dollars.
    """
    dollars = [row for row in rows if row["currency"] == CURRENCY]
    ordered = sorted(dollars, key=lambda row: (row["provider"], row["model"], row["from_ms"]))
    grouped = groupby(ordered, key=lambda row: (row["provider"], row["model"]))
    return Catalogue([_listing(list(versions)) for _, versions in grouped])


def _listing(rows: list[Mapping[str, Any]]) -> Listing:
    newest = rows[-1]
    return Listing(
        newest["provider"],
        newest["model"],
        newest["match"],
        tuple(_version(row) for row in rows),
        newest["currency"],
        newest["context_window"],
        newest["max_output_tokens"],
    )


def _version(row: Mapping[str, Any]) -> DatedCard:
    ends = row["to_ms"]
    return DatedCard(
        row["version"],
        Card.from_dict(row["rates"]),
        _instant(row["from_ms"]),
        None if ends is None else _instant(ends),
    )


def _instant(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)
