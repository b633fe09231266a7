"""The price of a model at any time: an organization's own prices before the shared list."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime

from attribution.prices.listings import CURRENCY
from attribution.prices.matching import Catalogue, Names
from attribution.prices.models import Price, PriceStatus
from attribution.prices.pricing import Card, DatedCard


class PriceBook:
    """Prices of several times, read once and asked often; keep it for one piece of work only."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices = list(prices)
        self._chapters: dict[str, _Chapter] = {}

    @classmethod
    def between(cls, start: datetime, end: datetime) -> "PriceBook":
        """Read the prices that the organization being served meets from `start` to `end`."""
        in_force = Price.objects.visible().filter(
            status=PriceStatus.APPROVED, effective_from__lte=end, currency=CURRENCY
        )
        return cls(in_force.exclude(effective_to__lte=start))

    def find(self, model: str, provider: str, at: datetime) -> DatedCard | None:
        """Return the version of a model in force at `at`; an empty provider is read from the name."""
        if provider not in self._chapters:
            self._chapters[provider] = _Chapter(provider, self._of(provider))
        return self._chapters[provider].find(model, at)

    def _of(self, provider: str) -> list[Price]:
        if not provider:
            return self._prices
        own = [price for price in self._prices if price.provider == provider]
        also = {name for price in own for name in Names.from_dict(price.match).also}
        return [price for price in self._prices if price.provider in {provider, *also}]


class _Chapter:
    """The prices that one provider's calls may meet, between any two changes of them."""

    def __init__(self, provider: str, prices: Sequence[Price]) -> None:
        self._provider = provider or None
        self._prices = prices
        starts = {price.effective_from for price in prices}
        ends = {price.effective_to for price in prices if price.effective_to}
        self._changes = sorted(starts | ends)
        self._catalogues: dict[int, tuple[Catalogue[Price], Catalogue[Price]]] = {}
        self._found: dict[tuple[int, str], DatedCard | None] = {}

    def find(self, model: str, at: datetime) -> DatedCard | None:
        moment = bisect_right(self._changes, at)
        key = (moment, model)
        if key not in self._found:
            price = self._search(moment, model, at)
            self._found[key] = _dated(price) if price else None
        return self._found[key]

    def _search(self, moment: int, model: str, at: datetime) -> Price | None:
        if moment not in self._catalogues:
            in_force = [price for price in self._prices if _is_effective(price, at)]
            own = Catalogue(price for price in in_force if price.organization_id)
            shared = Catalogue(price for price in in_force if not price.organization_id)
            self._catalogues[moment] = (own, shared)
        own, shared = self._catalogues[moment]
        return own.find(model, self._provider) or shared.find(model, self._provider)


def _is_effective(price: Price, at: datetime) -> bool:
    return price.effective_from <= at and (price.effective_to is None or at < price.effective_to)


def _dated(price: Price) -> DatedCard:
    card = Card.from_dict(price.rates)
    return DatedCard(price.pk, card, price.effective_from, price.effective_to)
