"""Disjoint token classes of one call: what the books count and the price list prices."""

from collections.abc import Mapping
from dataclasses import dataclass

INPUT_SIDE = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "audio_cache_read",
)
OUTPUT_SIDE = ("output", "reasoning", "audio_output")
CLASSES = (*INPUT_SIDE, *OUTPUT_SIDE)  # also database columns
FIELDS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "audio_cache_read",
    "audio_output",
)


class TokensError(ValueError):
    """A count that is no whole number of tokens, or a class that does not exist."""

    code = "invalid_usage"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts per class; no token is in two classes. `cache_write` is kept for five minutes."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_cache_read: int = 0
    audio_output: int = 0

    def __post_init__(self) -> None:
        for name, count in self._items():
            if type(count) is not int or count < 0:
                raise TokensError(f"{name} must be a whole number of tokens, not {count!r}")

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            *(a + b for (_, a), (_, b) in zip(self._items(), other._items(), strict=True))
        )

    @classmethod
    def from_mapping(cls, counts: Mapping[str, int]) -> "Tokens":
        """Read counts by class name; absent classes are zero, unknown ones are refused."""
        unknown = counts.keys() - set(CLASSES)
        if unknown:
            raise TokensError(f"unknown token class: {', '.join(sorted(unknown))}")
        return cls(**counts)

    def as_dict(self) -> dict[str, int]:
        """Return the classes that have tokens, in the fixed order."""
        return {name: count for name, count in self._items() if count}

    @property
    def total(self) -> int:
        """Return all tokens of the call."""
        return sum(count for _, count in self._items())

    @property
    def input_total(self) -> int:
        """Return the tokens read, cached or not: these choose the context tier."""
        return sum(getattr(self, name) for name in INPUT_SIDE)

    @property
    def output_total(self) -> int:
        """Return the tokens written, thought or said."""
        return sum(getattr(self, name) for name in OUTPUT_SIDE)

    def _items(self) -> list[tuple[str, int]]:
        return [(name, getattr(self, name)) for name in FIELDS]
