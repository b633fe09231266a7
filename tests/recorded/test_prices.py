"""Recorded usage at recorded rates costs what each case says, to the last digit."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from attribution.prices import pricing, published
from attribution.prices.matching import Catalogue
from attribution.prices.pricing import Card, Rates
from attribution.prices.tokens import Tokens
from tests.recorded import cases

CLASS_OF = {"input_audio": "audio_input", "cache_audio_read": "audio_cache_read"}
CLASS_OF["output_audio"] = "audio_output"
PROVIDER_OF = {
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "aws",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "xai": "x-ai",
}
LIST = published.read()


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


def searches_of(usage: dict[str, Any]) -> int:
    """Count the web searches that are charged by the call."""
    requests: dict[str, int] = usage["tool_requests"]
    return requests.get("web_search_calls", 0) + requests.get("web_search_requests", 0)


def others_of(usage: dict[str, Any]) -> Decimal:
    """Sum what models inside the call cost at their own rates."""
    return sum((Decimal(sub["cost_usd"]) for sub in usage.get("extra_models", [])), Decimal(0))


@pytest.mark.parametrize("case", cases.parameters("computed"))
def test_the_cost_of_recorded_usage_is_exact(case: cases.Case) -> None:
    expect = case["expect"]
    usage = expect["usage"]

    cost = pricing.cost(tokens_of(usage), rates_of(expect), searches=searches_of(usage))

    assert cost is not None
    assert cost.total + others_of(usage) == Decimal(expect["cost_usd"])
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


@pytest.mark.parametrize("case", cases.parameters("computed"))
def test_the_list_price_of_the_time_and_tier_gives_the_recorded_cost(case: cases.Case) -> None:
    """The whole way without the rates of the case: name, date, tier and hour choose them."""
    expect, usage = case["expect"], case["expect"]["usage"]
    at = datetime.fromisoformat(case["recorded_at"] or f"{expect['rates_as_of']}T00:00:00Z")
    provider = PROVIDER_OF[case["format"].partition("_")[0]]
    tokens = tokens_of(usage)

    price = catalogue(at).find(case["response_model"] or case["request_model"], provider)

    assert price is not None
    card = Card.from_dict(price.rates)
    rates = pricing.rates_for(card, tokens, at=at, service_tier=expect["service_tier"])
    cost = pricing.cost(tokens, rates, searches=searches_of(usage))
    assert cost is not None
    assert cost.total + others_of(usage) == Decimal(expect["cost_usd"])


def catalogue(at: datetime) -> Catalogue[published.ListedPrice]:
    """Return the published list as it stood at `at`."""
    return Catalogue(price for price in LIST if price.is_effective(at))
