"""A name finds its price: exact, by pattern, by its dashed date, at its provider or the one it means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from attribution.prices.matching import Catalogue, Names, resolve


@dataclass(frozen=True)
class Row:
    provider: str
    model: str
    match: Mapping[str, Any] = field(default_factory=dict)


OPENAI = {"provider_pattern": "^gpt-"}
ROWS = [
    Row("openai", "gpt-4o", {**OPENAI, "names": ["gpt-4o-2024-11-20"]}),
    Row("openai", "gpt-4o-mini", {**OPENAI, "pattern": "^gpt-4o-mini"}),
    Row("openai", "gpt-5.2", {**OPENAI, "names": ["gpt-5.2-2025-12-11"]}),
    Row("google", "gemini-2.5-flash", {"provider_pattern": "gemini"}),
    Row("azure", "only-here", {"also": ["openai"]}),
]


@pytest.mark.parametrize(
    ("name", "provider", "expected"),
    [
        ("gpt-4o", None, "gpt-4o"),
        ("GPT-4o-2024-11-20", None, "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "openai", "gpt-4o-mini"),
        ("gpt-5.2-20251211", None, "gpt-5.2"),
        ("models/gemini-2.5-flash", None, "gemini-2.5-flash"),
        ("gpt-4o", "azure", "gpt-4o"),
        ("only-here", "azure", "only-here"),
        ("only-here", None, None),
        ("gpt-4o", "google", None),
        ("gpt-4", None, None),
        ("gpt-4o", "nobody", None),
        ("", None, None),
    ],
)
def test_a_name_finds_its_price(name: str, provider: str | None, expected: str | None) -> None:
    found = resolve(name, ROWS, provider=provider)

    assert (found and found.model) == expected


def test_an_exact_name_wins_over_a_pattern() -> None:
    rows = [Row("p", "broad", {"pattern": "^m"}), Row("p", "narrow", {"names": ["m-1"]})]

    assert Catalogue(rows).find("m-1", "p") == rows[1]


def test_names_survive_the_way_through_json_without_what_is_empty() -> None:
    names = Names(names=("a",), provider_pattern="^a")

    assert names.as_dict() == {"names": ["a"], "provider_pattern": "^a"}
    assert Names.from_dict(names.as_dict()) == names
