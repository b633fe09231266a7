"""A second published list (litellm's model_prices) to hold the first against; its only reader."""

import gzip
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from attribution import money
from attribution.prices.rates import RATE_SCALE, Rates

NAME = "litellm"
PROVIDERS = {  # as that list calls them -> as ours does
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "xai": "x-ai",
    "zai": "zai",
}
CLASS_OF = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
}
MILLION = Decimal(1_000_000)


class SecondListError(ValueError):
    """A file that is not such a list."""

    code = "invalid_price_list"


class SecondList:
    """Base rates in USD per million tokens, by provider and name: no dates, tiers or hours."""

    def __init__(self, rates: Mapping[tuple[str, str], Rates]) -> None:
        self._rates = rates

    def find(self, provider: str, names: Sequence[str]) -> Rates | None:
        """Return the rates of the first of `names` that the list knows."""
        found = (self._rates.get((provider, name.lower())) for name in names)
        return next((rates for rates in found if rates is not None), None)


def read(path: Path) -> SecondList:
    """Read a JSON file, gzipped or not."""
    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        entries = json.loads(text, parse_float=Decimal)
        return SecondList(dict(_rows(entries)))
    except (OSError, ValueError, AttributeError) as error:
        raise SecondListError(f"{path}: {error}") from error


def _rows(entries: Mapping[str, Mapping[str, Any]]) -> list[tuple[tuple[str, str], Rates]]:
    rows = []
    for name, entry in entries.items():
        provider = PROVIDERS.get(entry.get("litellm_provider", ""))
        rates = _rates(entry) if provider else {}
        if provider and rates:
            bare = name.removeprefix(f"{entry['litellm_provider']}/").lower()
            rows.append(((provider, bare), Rates(rates)))
    return rows


def _rates(entry: Mapping[str, Any]) -> dict[str, Decimal | None]:
    stated = {own: entry.get(theirs) for theirs, own in CLASS_OF.items()}
    return {
        name: money.half_even(Decimal(rate) * MILLION, scale=RATE_SCALE)
        for name, rate in stated.items()
        if isinstance(rate, Decimal | int)
    }
