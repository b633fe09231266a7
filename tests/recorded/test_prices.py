"""Recorded usage at recorded rates costs what each case says, to the last digit."""

from decimal import Decimal
from typing import Any

import pytest

from attribution.prices import pricing
from attribution.prices.pricing import Rates
from attribution.prices.tokens import Tokens
from tests.recorded import cases

CLASS_OF = {"input_audio": "audio_input", "cache_audio_read": "audio_cache_read"}
CLASS_OF["output_audio"] = "audio_output"


def tokens_of(usage: dict[str, Any]) -> Tokens:
    """Turn the manifest's counts, which overlap, into disjoint classes."""
    return Tokens(
        input=usage["input_uncached"] - usage["audio_in"],
        cache_read=usage["cache_read"] - usage["audio_cache_read"],
        cache_write=usage["cache_write"] - usage["cache_write_1h"],
        cache_write_1h=usage["cache_write_1h"],
        output=usage["output"] - usage["reasoning"] - usage["audio_out"],
        reasoning=usage["reasoning"],
        audio_input=usage["audio_in"],
        audio_cache_read=usage["audio_cache_read"],
        audio_output=usage["audio_out"],
    )


def rates_of(expect: dict[str, Any]) -> Rates:
    """Read the rates that stand in the case itself."""
    stated = {CLASS_OF.get(k, k): Decimal(v) for k, v in expect["rates_usd_per_mtok"].items()}
    fee = expect["web_search_usd_per_1000"]
    return Rates({**stated, **({"searches": Decimal(fee) / 1000} if fee else {})})


@pytest.mark.parametrize("case", cases.parameters("computed"))
def test_the_cost_of_recorded_usage_is_exact(case: cases.Case) -> None:
    expect = case["expect"]
    usage = expect["usage"]
    requests = usage["tool_requests"]
    searches = requests.get("web_search_calls", 0) + requests.get("web_search_requests", 0)

    cost = pricing.cost(tokens_of(usage), rates_of(expect), searches=searches)

    assert cost is not None
    others = sum((Decimal(sub["cost_usd"]) for sub in usage.get("extra_models", [])), Decimal(0))
    assert cost.total + others == Decimal(expect["cost_usd"])
    assert sum(line.amount for line in cost.lines) == cost.total


@pytest.mark.parametrize("case", cases.parameters("ambiguous", "provider_reported"))
def test_our_own_calculation_stands_beside_a_cost_that_wins_over_it(case: cases.Case) -> None:
    expect = case["expect"]
    if not expect["rates_usd_per_mtok"]:
        assert expect["computed_cost_usd"] is None
        return

    cost = pricing.cost(tokens_of(expect["usage"]), rates_of(expect))

    assert cost is not None
    assert cost.total == Decimal(expect["computed_cost_usd"])


@pytest.mark.parametrize("case", cases.parameters("unpriced"))
def test_a_model_without_rates_has_no_cost(case: cases.Case) -> None:
    assert pricing.cost(tokens_of(case["expect"]["usage"]), None) is None
