"""Which listed model a name means: exact names first, then patterns, then its dashed date."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


T = TypeVar("T")  # a price of any kind: a row, a model, a listing


@dataclass(frozen=True, slots=True)
class Names:
    """How a listed model may be spelled, in the form that prices store as `match`.

    `names` are exact, `pattern` is one regular expression for the rest, both lower-case.
    `provider_pattern` says which bare model names mean this provider, and `also` which other
    providers' models it offers at their list price.
    """

    names: tuple[str, ...] = ()
    pattern: str = ""
    provider_pattern: str = ""
    also: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Names":
        """Read the JSON form."""
        return cls(
            tuple(data.get("names", ())),
            data.get("pattern", ""),
            data.get("provider_pattern", ""),
            tuple(data.get("also", ())),
        )

    def as_dict(self) -> dict[str, Any]:
        """Write the JSON form without what is empty."""
        whole = {
            "names": list(self.names),
            "pattern": self.pattern,
            "provider_pattern": self.provider_pattern,
            "also": list(self.also),
        }
        return {name: value for name, value in whole.items() if value}


class Catalogue(Generic[T]):
    """The prices in force at one time, ready to be asked; build it once per refresh.

    Of a price it reads `provider`, `model` as the list spells it, and `match`: see `Names`.
    """

    def __init__(self, prices: Iterable[T]) -> None:
        self._providers: dict[str, _Provider[T]] = {}
        rows: list[Any] = list(prices)  # rows of several kinds: columns are no protocol to mypy
        for price in sorted(rows, key=lambda row: (row.provider, row.model)):
            provider = self._providers.setdefault(price.provider, _Provider())
            provider.add(price, price.model, Names.from_dict(price.match))

    def find(self, name: str, provider: str | None = None) -> T | None:
        """Return the price that `name` means at `provider`, or at the provider it names itself."""
        wanted = name.strip().lower().removeprefix("models/")  # as Gemini spells its own
        for spelling in dict.fromkeys((wanted, COMPACT_DATE.sub(r"-\1-\2-\3", wanted))):
            for candidate in self._candidates(spelling, provider):
                if (found := candidate.find(spelling)) is not None:
                    return found
        return None

    def _candidates(self, name: str, provider: str | None) -> "list[_Provider[T]]":
        if provider is not None:
            first = self._providers.get(provider)
            others = first.also if first else ()
            ids = (provider, *others)
            return [self._providers[one] for one in ids if one in self._providers]
        return [one for one in self._providers.values() if one.is_meant_by(name)]


class _Provider(Generic[T]):
    def __init__(self) -> None:
        self.also: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None
        self._by_name: dict[str, T] = {}
        self._patterns: list[tuple[re.Pattern[str], T]] = []

    def add(self, price: T, model: str, names: Names) -> None:
        for name in (*names.names, model.lower()):
            self._by_name.setdefault(name, price)
        if names.pattern:
            self._patterns.append((re.compile(names.pattern), price))
        if names.provider_pattern:
            self._pattern = re.compile(names.provider_pattern)
        self.also = names.also or self.also

    def is_meant_by(self, name: str) -> bool:
        return bool(self._pattern and self._pattern.search(name))

    def find(self, name: str) -> T | None:
        if name in self._by_name:
            return self._by_name[name]
        return next((price for pattern, price in self._patterns if pattern.search(name)), None)


def resolve(name: str, prices: Iterable[T], *, provider: str | None = None) -> T | None:
    """Find one name among `prices`; whoever asks often keeps a Catalogue."""
    return Catalogue(prices).find(name, provider)
