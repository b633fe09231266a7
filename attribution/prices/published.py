"""The published price list (genai-prices) as dated rows of ours; the only reader of that package."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

from attribution import money
from attribution.prices import spelling
from attribution.prices.matching import Names
from attribution.prices.rates import FEE_SCALE, RATE_SCALE

DATA = Path(__file__).parent / "data" / "additions.json"
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)  # a price without a start was valid before our time

CLASS_OF = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "audio_cache_read",
    "output_audio_mtok": "audio_output",
}
FEE_OF = {"web_searches_kcount": "searches", "requests_kcount": "requests"}
TIMED_AUDIO = {"audio_hours", "input_audio_hours"}  # billed by time: such tokens have no price

Prices = Mapping[str, Decimal | types.TieredPrices]


@dataclass(frozen=True, slots=True)
class Daily:
    """A price of certain hours."""

    start: time
    end: time
    prices: types.ModelPrice


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """One row to be: a model's names and rates between two instants."""

    provider: str
    model: str
    match: dict[str, Any]
    rates: dict[str, Any]
    context_window: int | None
    effective_from: datetime
    effective_to: datetime | None

    def is_effective(self, at: datetime) -> bool:
        """Say whether the row is in force at `at`."""
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)


def read() -> list[ListedPrice]:
    """Return every model that the list and our additions know, with its history."""
    additions = json.loads(DATA.read_text())
    rows = [_own(own) for own in additions["prices"]]
    for provider in providers:
        corrections = _of(provider.id, additions["corrections"])
        aliases = _of(provider.id, additions["aliases"])
        for model in provider.models:
            about = [c for c in corrections if model.id in c["models"]]
            rows += _Model(provider, model, about[0] if about else {}, aliases).rows()
    return rows


class _Model:
    """One model of the list, cut at every instant at which something about it changes."""

    def __init__(
        self,
        provider: types.Provider,
        model: types.ModelInfo,
        correction: Mapping[str, Any],
        aliases: list[dict[str, str]],
    ) -> None:
        self.provider = provider
        self.model = model
        self.correction = correction
        self.aliases = aliases
        self.prices = _conditional(model.prices)
        self.variants = [v for v in model.price_variants or () if _stated(v.prices)]
        windows = correction.get("windows", {})
        self.windows_from = _instant(windows["from"]) if windows else BEGINNING
        self.windows_to = _instant(windows["to"]) if "to" in windows else None

    def rows(self) -> list[ListedPrice]:
        """Return the rows in time order; neighbours that say the same are one."""
        rows: list[ListedPrice] = []
        cuts = sorted(self._cuts())
        for start, end in zip(cuts, [*cuts[1:], None], strict=True):
            row = self._row(start, end)
            if rows and replace(rows[-1], effective_from=start, effective_to=end) == row:
                rows[-1] = replace(rows[-1], effective_to=end)
            else:
                rows.append(row)
        return rows

    def _cuts(self) -> set[datetime]:
        starts = {self._start(priced.constraint) for priced in self.prices}
        starts |= {self._start(variant.constraint) for variant in self.variants}
        own = {_instant(alias["from"]) for alias in self.aliases if "from" in alias}
        ends = {self.windows_to} if self.windows_to else set()
        return starts | own | ends | {BEGINNING, self.windows_from}

    def _start(self, constraint: object) -> datetime:
        if not isinstance(constraint, types.StartDateConstraint):
            return BEGINNING
        day = constraint.start_date
        stated = self.correction.get("starts", {}).get(day.isoformat())
        return _instant(stated) if stated else datetime.combine(day, time.min, UTC)

    def _row(self, start: datetime, end: datetime | None) -> ListedPrice:
        standard, windows = self._standard(start)
        rates = self._schedule(_stated(standard))
        tiers = self._service_tiers(start, standard)
        if tiers:
            rates["service_tiers"] = tiers
        if windows:
            rates["windows"] = [self._window(window) for window in windows]
        return ListedPrice(
            self.provider.id,
            self.model.id,
            self._names(start).as_dict(),
            rates,
            self.model.context_window,
            start,
            end,
        )

    def _standard(self, at: datetime) -> tuple[types.ModelPrice, list[Daily]]:
        """Return the price of all day and the windows that cut into it: the last one wins."""
        chosen = self.prices[0].prices
        windows: list[Daily] = []
        for priced in self.prices:
            hours = priced.constraint
            if isinstance(hours, types.TimeOfDateConstraint):
                windows.append(Daily(hours.start_time, hours.end_time, priced.prices))
            elif self._start(hours) <= at:
                chosen, windows = priced.prices, []
        is_dated = self.windows_from <= at and (self.windows_to is None or at < self.windows_to)
        if not windows or is_dated:
            return chosen, windows
        keeps_window = self.correction["windows"]["otherwise"] == "window"
        return windows[-1].prices if keeps_window else chosen, []

    def _window(self, daily: Daily) -> dict[str, Any]:
        hours = {"start": f"{daily.start:%H:%M}", "end": f"{daily.end:%H:%M}"}
        days = self.correction.get("windows", {}).get("days")
        return {
            **hours,
            **({"days": days} if days else {}),
            **self._schedule(_stated(daily.prices)),
        }

    def _service_tiers(self, at: datetime, standard: types.ModelPrice) -> dict[str, Any]:
        """Return the schedule of each tier at `at`.

        A tier's start in the list is the day it was entered, not launched: its rates also hold
        before, for as long as the standard rates beside it were the same.
        """
        tiers: dict[str, Prices] = {}
        starts = [(max(self._start(one.constraint), at), one) for one in self.variants]
        for start, variant in sorted(starts, key=lambda pair: pair[0]):
            if start > at and self._standard(start)[0] != standard:
                continue
            name = _tier_name(variant.when)
            if start <= at or name not in tiers:
                tiers[name] = {**_stated(variant.prices), **tiers.get(name, {})}
        return {k: self._schedule({**_stated(standard), **own}) for k, own in tiers.items()}

    def _schedule(self, prices: Prices) -> dict[str, Any]:
        """Return the JSON form of a schedule: base rates, and whole rates per context tier."""
        starts = {
            tier.start
            for price in prices.values()
            if isinstance(price, types.TieredPrices)
            for tier in price.tiers
        }
        schedule: dict[str, Any] = {"base": self._rates(prices, above=-1)}
        tiers = [{"above": n, "rates": self._rates(prices, above=n)} for n in sorted(starts)]
        return {**schedule, "tiers": tiers} if tiers else schedule

    def _rates(self, prices: Prices, *, above: int) -> dict[str, str | None]:
        rates: dict[str, str | None] = {}
        for key, price in prices.items():
            if key in TIMED_AUDIO:
                rates.setdefault("audio_input", None)
            elif key in CLASS_OF:
                rates[CLASS_OF[key]] = _text(_reached(price, above), RATE_SCALE)
            elif key in FEE_OF:
                rates[FEE_OF[key]] = _text(_reached(price, above) / 1000, FEE_SCALE)
        return {**rates, **self.correction.get("rates", {})}

    def _names(self, at: datetime) -> Names:
        names, patterns = spelling.spellings(self.model.match)
        for alias in self.aliases:
            if "from" in alias and at < _instant(alias["from"]):
                continue
            names.discard(alias["alias"])
            if alias["model"] == self.model.id:
                names.add(alias["alias"])
        meant = self.provider.model_match
        return Names(
            tuple(sorted(names)),
            "|".join(patterns),
            spelling.pattern(meant) if meant else "",
            tuple(self.provider.fallback_model_providers or ()),
        )


def _conditional(
    prices: types.ModelPrice | list[types.ConditionalPrice],
) -> list[types.ConditionalPrice]:
    return prices if isinstance(prices, list) else [types.ConditionalPrice(prices=prices)]


def _own(own: Mapping[str, Any]) -> ListedPrice:
    return ListedPrice(
        own["provider"],
        own["model"],
        own["match"],
        own["rates"],
        own["context_window"],
        BEGINNING,
        None,
    )


def _of(provider: str, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["provider"] == provider]


def _stated(prices: types.ModelPrice) -> Prices:
    return {key: value for key, value in vars(prices).items() if value is not None}


def _tier_name(when: Mapping[str, str]) -> str:
    """Name a tier by its value as responses state it; other circumstances keep their key."""
    known = {"processing", "service_tier", "speed"}
    return "+".join(value if key in known else f"{key}:{value}" for key, value in when.items())


def _reached(price: Decimal | types.TieredPrices, above: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= above]
    return reached[-1] if reached else price.base


def _text(rate: Decimal, scale: int) -> str:
    return money.text(money.half_even(rate, scale=scale))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
