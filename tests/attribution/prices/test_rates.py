"""Rates fall back on their own side, grow by size, and are exact or refused."""

from decimal import Decimal
from itertools import pairwise

import pytest

from attribution.prices.rates import Rates, RatesError, Schedule


@pytest.mark.parametrize(
    ("name", "stated", "expected"),
    [
        ("cache_read", {"input": "3"}, "3"),
        ("cache_write", {"input": "3"}, "3"),
        ("cache_write_1h", {"input": "3", "cache_write": "3.75"}, "3.75"),
        ("cache_write_1h", {"input": "3"}, "3"),
        ("audio_input", {"input": "3"}, "3"),
        ("audio_cache_read", {"input": "3", "cache_read": "0.3", "audio_input": "9"}, "0.3"),
        ("reasoning", {"output": "15"}, "15"),
        ("reasoning", {"output": "15", "reasoning": "20"}, "20"),
        ("audio_output", {"output": "15"}, "15"),
        ("output", {"input": "3"}, None),
        ("searches", {"input": "3"}, None),
    ],
)
def test_a_missing_rate_falls_back_on_its_own_side(
    name: str, stated: dict[str, str | None], expected: str | None
) -> None:
    rate = Rates.from_dict(stated).of(name)

    assert rate == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize("rate", ["-1", "0.1234567", "NaN", "Infinity"])
def test_a_rate_that_would_not_be_exact_is_refused(rate: str) -> None:
    with pytest.raises(RatesError):
        Rates.from_dict({"input": rate})


def test_a_rate_of_an_unknown_class_is_refused() -> None:
    with pytest.raises(RatesError, match="prompt"):
        Rates.from_dict({"prompt": "1"})


def test_context_tiers_are_read_in_order() -> None:
    tiers = [{"above": above, "rates": {"input": str(above)}} for above in (256, 32, 128)]
    schedule = Schedule.from_dict({"base": {"input": "1"}, "tiers": tiers})

    seen = [schedule.at(size).of("input") or Decimal(0) for size in (32, 33, 129, 257)]

    assert all(a < b for a, b in pairwise(seen))
