"""Thousands of real usage blocks: none crashes, none is negative, none loses or gains a token."""

import gzip
import json
from functools import cache
from typing import Any

import pytest

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols import (
    anthropic_messages,
    gemini_embeddings,
    gemini_generate,
    openai_chat,
    openai_embeddings,
    openai_responses,
)
from gateway.proxy.protocols.wire import Format, Seen
from tests.recorded import cases

# Formats by what their answers call the usage; Bedrock and Cohere have no route of ours.
BY_SHAPE: dict[str, tuple[Format, str, set[str]]] = {
    "chat": (
        openai_chat,
        "usage",
        {"openai_chat", "openai_completions", "azure_openai_chat", "deepseek_chat", "groq_chat"}
        | {"mistral_chat", "openrouter_chat", "xai_chat"},
    ),
    "embeddings": (
        openai_embeddings,
        "usage",
        {"openai_embeddings", "azure_openai_embeddings", "mistral_embeddings"},
    ),
    "responses": (openai_responses, "usage", {"openai_responses", "xai_responses"}),
    "messages": (anthropic_messages, "usage", {"anthropic_messages"}),
    "generate": (gemini_generate, "usageMetadata", {"gemini_generate"}),
    "embed": (gemini_embeddings, "usageMetadata", {"gemini_embeddings"}),
}
UNROUTED = {"bedrock_converse", "bedrock_invoke", "cohere_chat"}


@cache
def blocks() -> tuple[dict[str, Any], ...]:
    """Return all recorded usage blocks, or none where the data is absent."""
    path = cases.folder() / "usages/usage_index.jsonl.gz"
    if not path.exists():
        return ()
    with gzip.open(path, "rt") as lines:
        return tuple(json.loads(line) for line in lines)


def of_formats(formats: set[str]) -> list[dict[str, Any]]:
    """Return the blocks of these formats, streamed or not; skip without the data."""
    if not blocks():
        pytest.skip(f"no recorded usage blocks: TOLLKEEPER_DATA is {cases.folder()}")
    found = [block for block in blocks() if block["format"].removesuffix("_stream") in formats]
    return [block["usage"] for block in found]


def read(shape: str, usage: dict[str, Any]) -> Seen:
    """Read a usage block inside the smallest answer."""
    reader, key, _ = BY_SHAPE[shape]
    return reader.read_answer(json.dumps({key: usage}).encode())


def stated_total(usage: dict[str, Any]) -> int:
    """Return the total that the block states, or that its documented fields make."""
    total = usage.get("total_tokens", usage.get("totalTokenCount"))
    if isinstance(total, int):
        return total
    if "promptTokenCount" in usage:
        return int(usage["promptTokenCount"]) + int(usage.get("candidatesTokenCount") or 0)
    parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(usage.get(name) or 0 for name in (*parts, "output_tokens"))


def counted_twice(usage: dict[str, Any]) -> int:
    """Return the tokens that OpenRouter states as read from the cache and as written to it.

    It charges them by its own `cost`, so both stay as stated.
    """
    details = usage.get("prompt_tokens_details") or {}
    read, written = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    return min(read, written) if read + written > usage.get("prompt_tokens", 0) else 0


def test_every_recorded_block_is_read_by_some_test() -> None:
    known = UNROUTED.union(*(formats for _, _, formats in BY_SHAPE.values()))

    assert len(of_formats(known)) == len(blocks()) == 4870


@pytest.mark.parametrize("shape", BY_SHAPE)
def test_no_token_is_lost_or_gained(shape: str) -> None:
    for usage in of_formats(BY_SHAPE[shape][2]):
        seen = read(shape, usage)

        assert seen.usage is not None, usage
        assert all(number >= 0 for number in seen.usage.as_dict().values())
        assert seen.usage.total == stated_total(usage) + counted_twice(usage), usage


@pytest.mark.parametrize("shape", BY_SHAPE)
def test_a_block_of_another_format_is_missing_and_never_half_read(shape: str) -> None:
    for usage in of_formats({"bedrock_converse", "cohere_chat"}):
        assert read(shape, usage).usage is None, usage


@pytest.mark.parametrize("junk", [-1, 10**10, "7", 1.5, True, [], {}])
@pytest.mark.parametrize("shape", BY_SHAPE)
def test_absurd_counts_are_missing_and_never_negative(shape: str, junk: Any) -> None:
    for usage in of_formats(BY_SHAPE[shape][2])[:25]:
        for name in usage:
            seen = read(shape, {**usage, name: junk})

            found = seen.usage or Tokens()
            assert all(number >= 0 for number in found.as_dict().values())
