"""Usage objects of Anthropic's messages, made into disjoint token classes."""

from typing import Any

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols.counts import count, part
from gateway.proxy.protocols.wire import Json, Seen, SubUse

# Prices that no card of ours holds: one region only costs more, and fast inference is a tier.
DEARER_REGIONS = ("us",)
FAST = "fast"


def merge(known: Json, usage: Any) -> Json:
    """Return `known` with every field of `usage` that is not null: counts are cumulative."""
    if not isinstance(usage, dict):
        return known
    return {**known, **{name: value for name, value in usage.items() if value is not None}}


def take(usage: Json, seen: Seen, *, is_final: bool) -> None:
    """Take a usage object into `seen`; until the last one its output is only a beginning."""
    read = count(usage, "input_tokens")
    if read is not None:
        seen.partial = _classes(usage, read, 0)
    seen.service_tier = _tier(usage) or seen.service_tier
    seen.web_searches = count(part(usage, "server_tool_use"), "web_search_requests") or 0
    seen.is_unpriceable = usage.get("inference_geo") in DEARER_REGIONS
    written = count(usage, "output_tokens")
    if is_final and read is not None and written is not None:
        seen.usage = _classes(usage, read, written)
        seen.others = _others(usage)


def _tier(usage: Json) -> str | None:
    """Return the service tier; fast inference has prices of its own, whatever the tier."""
    if usage.get("speed") == FAST:
        return FAST
    tier = usage.get("service_tier")
    return tier if isinstance(tier, str) else None


def _classes(usage: Json, read: int, written: int) -> Tokens:
    """Sort the counts into disjoint classes; input stands without what was cached."""
    split = part(usage, "cache_creation")
    short = count(split, "ephemeral_5m_input_tokens") or 0
    long = count(split, "ephemeral_1h_input_tokens") or 0
    # The sum is cumulative where the split is of the first round only; a zero split is no free write.
    cached = max(count(usage, "cache_creation_input_tokens") or 0, short + long)
    thought = count(part(usage, "output_tokens_details"), "thinking_tokens") or 0
    thought = min(thought, written)
    return Tokens(
        input=read,
        cache_read=count(usage, "cache_read_input_tokens") or 0,
        cache_write=cached - long,
        cache_write_1h=long,
        output=written - thought,
        reasoning=thought,
    )


def _others(usage: Json) -> tuple[SubUse, ...]:
    """Return what stands outside the sums: advisors, fallbacks, compactions."""
    iterations = usage.get("iterations")
    found = []
    for entry in iterations if isinstance(iterations, list) else ():
        if not isinstance(entry, dict) or entry.get("type", "message") == "message":
            continue  # already in the sums
        model = entry.get("model")
        read, written = count(entry, "input_tokens") or 0, count(entry, "output_tokens") or 0
        tokens = _classes(entry, read, written)
        if tokens.total:
            found.append(SubUse(model if isinstance(model, str) and model else None, tokens))
    return tuple(found)
