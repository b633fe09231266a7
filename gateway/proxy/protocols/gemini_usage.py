"""Usage objects of Gemini, made into disjoint token classes."""

from attribution.prices.tokens import Tokens
from gateway.proxy.protocols.counts import count
from gateway.proxy.protocols.wire import Json, Seen


def take(usage: Json, seen: Seen, *, is_final: bool) -> None:
    """Take a usage object into `seen`; until the last one its output is only a beginning."""
    prompt, tools = count(usage, "promptTokenCount"), count(usage, "toolUsePromptTokenCount") or 0
    if isinstance(tier := usage.get("serviceTier"), str):
        seen.service_tier = tier.lower()
    if prompt is None:
        return
    read = prompt + tools
    seen.partial = _classes(usage, read, 0, 0)
    thought = count(usage, "thoughtsTokenCount") or 0
    said = count(usage, "candidatesTokenCount")
    if usage.get("candidatesTokenCount") is None:  # what the total holds, or nothing where none is
        total = count(usage, "totalTokenCount")
        unsaid = None if seen.text_bytes else 0
        said = unsaid if total is None else max(0, total - read - thought)
    if is_final and said is not None:
        seen.usage = _classes(usage, read, said, thought)
        seen.is_unpriceable = _of(usage, "candidatesTokensDetails", "IMAGE") > 0  # dearer than text


def _classes(usage: Json, read: int, said: int, thought: int) -> Tokens:
    """Sort the counts into disjoint classes; the cached part lies inside the prompt."""
    cached = count(usage, "cachedContentTokenCount") or 0
    heard = _of(usage, "promptTokensDetails", "AUDIO")
    heard += _of(usage, "toolUsePromptTokensDetails", "AUDIO")
    cached_audio = min(_of(usage, "cacheTokensDetails", "AUDIO"), cached)
    heard = min(max(0, heard - cached_audio), max(0, read - cached))
    spoken = min(_of(usage, "candidatesTokensDetails", "AUDIO"), said)
    return Tokens(
        input=max(0, read - cached - heard),
        cache_read=cached - cached_audio,
        output=said - spoken,
        reasoning=thought,
        audio_input=heard,
        audio_cache_read=cached_audio,
        audio_output=spoken,
    )


def _of(usage: Json, name: str, modality: str) -> int:
    """Return the tokens of one modality in a list of them."""
    details = usage.get(name)
    found = [d for d in details if isinstance(d, dict)] if isinstance(details, list) else []
    return sum(count(d, "tokenCount") or 0 for d in found if d.get("modality") == modality)
