"""Usage objects of OpenAI and of all who speak its formats, made into disjoint token classes."""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols.wire import Json, Seen

LARGEST = 10**9
TICKS_PER_USD = Decimal(10**10)

# Fractions become Decimal from their own digits: a provider's charge is money.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def count(holder: Json, name: str) -> int | None:
    """Return a count of tokens; anything but an integer 0…10⁹ is missing."""
    value = holder.get(name)
    return value if type(value) is int and 0 <= value <= LARGEST else None


def part(usage: Json, name: str) -> Json:
    """Return an object inside the usage; empty when it is missing."""
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def read(raw: msgspec.Raw | bytes, seen: Seen) -> bool:
    """Take a usage object into `seen`; False when it is no object (`null`, say)."""
    usage = _decode(raw)
    if not isinstance(usage, dict):
        return False
    prompt, completion = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    if prompt is not None:
        seen.partial_input = prompt
    if prompt is not None and completion is not None:
        seen.usage, seen.is_unpriceable = _classes(usage, prompt, completion)
    seen.cost = _charge(usage)
    if isinstance(tier := usage.get("service_tier"), str):  # Mistral states it here
        seen.service_tier = tier
    searches = part(usage, "server_tool_use_details") or part(usage, "server_tool_use")
    seen.web_searches = count(searches, "web_search_requests") or 0
    return True


def _classes(usage: Json, prompt: int, completion: int) -> tuple[Tokens, bool]:
    """Sort the counts into disjoint classes; True when some of them are not billed by token."""
    inside, made = part(usage, "prompt_tokens_details"), part(usage, "completion_tokens_details")
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


def _charge(usage: Json) -> Decimal | None:
    """Return the US dollars that the provider says it charged: OpenRouter, xAI."""
    ticks = count_any(usage.get("cost_in_usd_ticks"))
    return ticks / TICKS_PER_USD if ticks is not None else count_any(usage.get("cost"))


def count_any(value: Any) -> Decimal | None:
    """Return a number of dollars or ticks that is finite and not negative."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None
