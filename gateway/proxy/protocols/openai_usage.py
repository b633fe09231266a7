"""Usage objects of OpenAI and of all who speak its formats, made into disjoint token classes."""

from decimal import Decimal
from typing import NamedTuple

import msgspec

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols.counts import LARGEST, amount, count, decode, part
from gateway.proxy.protocols.wire import Json, Seen

TICKS_PER_USD = 10**10


class Names(NamedTuple):
    """What a format calls its two sides."""

    read: str = "prompt_tokens"
    written: str = "completion_tokens"


CHAT = Names()
RESPONSES = Names("input_tokens", "output_tokens")


def read(raw: msgspec.Raw | bytes, seen: Seen, names: Names = CHAT) -> bool:
    """Take a usage object into `seen`; False when it is no object (`null`, say)."""
    usage = decode(raw)
    if not isinstance(usage, dict):
        return False
    prompt, completion = count(usage, names.read), count(usage, names.written)
    if prompt is not None:
        seen.partial = Tokens(input=prompt)
        total = count(usage, "total_tokens")
        if total is not None and names.written not in usage and total >= prompt:
            completion = total - prompt  # embeddings; a legacy completion of nothing
        if completion is not None:
            seen.usage, seen.is_unpriceable = _classes(usage, (prompt, completion), names)
    seen.cost, seen.upstream_cost = _charges(usage)
    if isinstance(tier := usage.get("service_tier"), str):  # Mistral states it here
        seen.service_tier = tier
    searches = part(usage, "server_tool_use_details") or part(usage, "server_tool_use")
    seen.web_searches = count(searches, "web_search_requests") or 0
    return True


def _classes(usage: Json, sides: tuple[int, int], names: Names) -> tuple[Tokens, bool]:
    """Sort the counts into disjoint classes; True when some of them are not billed by token."""
    prompt, completion = sides
    inside, made = part(usage, f"{names.read}_details"), part(usage, f"{names.written}_details")
    cached = count(inside, "cached_tokens")
    if cached is None:
        cached = count(usage, "prompt_cache_hit_tokens") or 0  # DeepSeek
    written = count(inside, "cache_write_tokens") or 0
    audio_in = count(inside, "audio_tokens") or 0
    audio_cached = min(count(part(inside, "cached_tokens_details"), "audio_tokens") or 0, cached)
    reasoning, audio_out = count(made, "reasoning_tokens") or 0, count(made, "audio_tokens") or 0
    # What the total holds beyond both sums was counted outside of them.
    beyond = (count(usage, "total_tokens") or 0) - prompt - completion
    is_audio_outside = 0 < audio_in == beyond  # Voxtral: billed by time
    if is_audio_outside:
        prompt += audio_in
    elif 0 < reasoning == beyond or reasoning > completion:  # xAI chat
        completion += reasoning
    audio_in = min(audio_in - min(audio_in, audio_cached), prompt)
    known = cached + written if cached + written <= prompt else max(cached, written)  # overlap
    reasoning = min(reasoning, completion)
    audio_out = min(audio_out, completion - reasoning)
    tokens = Tokens(
        input=max(0, prompt - known - audio_in),
        cache_read=cached - audio_cached,
        cache_write=written,
        output=completion - reasoning - audio_out,
        reasoning=reasoning,
        audio_input=audio_in,
        audio_cache_read=audio_cached,
        audio_output=audio_out,
    )
    return tokens, is_audio_outside


def _charges(usage: Json) -> tuple[Decimal | None, Decimal | None]:
    """Return what the provider says it charged, and what another bills for the caller's own key."""
    ticks = amount(usage.get("cost_in_usd_ticks"), most=LARGEST * TICKS_PER_USD)  # xAI
    if ticks is not None:
        return ticks / TICKS_PER_USD, None
    beside = part(usage, "cost_details").get("upstream_inference_cost")
    return amount(usage.get("cost")), amount(beside) if usage.get("is_byok") is True else None
