"""OpenAI's legacy completions: `POST /v1/completions`, which vLLM and llama.cpp speak as well."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.proxy.protocols import fields, openai_answer, openai_chat, strict_json
from gateway.proxy.protocols.openai_stream import Meter
from gateway.proxy.protocols.wire import Asked, Dialect, InvalidRequestError, Sending, Size

NAME: Final = "openai_completions"
DIALECT: Final[Dialect] = "openai"
LARGEST_N = 128
MOST_PROMPTS = 2048

TEXT = ("prompt", "suffix", "response_format")
KNOWN = frozenset(
    (
        *fields.ATTRIBUTION,
        *TEXT,
        *("model", "stream", "stream_options", "max_tokens", "n", "best_of", "echo", "logprobs"),
        *("frequency_penalty", "logit_bias", "presence_penalty", "seed", "stop", "temperature"),
        *("top_p", "cache_prompt", "ignore_eos", "min_p", "min_tokens", "repetition_penalty"),
        *("stop_token_ids", "top_k", "typical_p", "guided_choice", "guided_json", "guided_regex"),
    )
)

read_answer = openai_answer.read_answer
enrich = openai_answer.enrich


def parse_request(raw: bytes, path: Mapping[str, str]) -> Asked:
    """Parse a request strictly; every prompt is answered `n` times."""
    body = strict_json.load_object(raw)
    prompts = inputs(body.get("prompt"), "prompt", MOST_PROMPTS)
    best_of = fields.whole(body, "best_of", LARGEST_N) or 1
    asked = openai_chat.asked_from(body)
    return replace(asked, choices=max(asked.choices, best_of) * prompts)


def inputs(value: Any, name: str, most: int) -> int:
    """Count what stands in a field that is a text, a list of tokens, or a list of either."""
    if isinstance(value, str) and value:
        return 1
    if not isinstance(value, list) or not value:
        raise InvalidRequestError(f"`{name}` must be a text or a list of them.", name)
    if is_tokens(value):
        return 1
    if len(value) > most:
        raise InvalidRequestError(f"`{name}` has more than {most} entries.", name)
    if not all(isinstance(item, str) or (item and is_tokens(item)) for item in value):
        raise InvalidRequestError(f"Each of `{name}` must be a text or a list of tokens.", name)
    return len(value)


def is_tokens(value: Any) -> bool:
    """Tell whether this is a list of tokens."""
    return isinstance(value, list) and all(type(item) is int for item in value)


def size(asked: Asked) -> Size:
    """Measure the request for its upper bound; a token written as number has at least one digit."""
    body = asked.body
    text = fields.encode([body[name] for name in TEXT if name in body])
    prompts = body["prompt"]
    return Size(
        text_bytes=fields.text_length(text),
        messages=len(prompts) if isinstance(prompts, list) and not is_tokens(prompts) else 1,
        tools=0,
        unbounded=fields.unknown(body, KNOWN),
        input_classes=("input", "cache_read", "cache_write"),
        output_classes=("output", "reasoning"),
    )


def system_text(asked: Asked) -> str:
    """Return nothing: a prompt of this format has no part that is the template."""
    return ""


def hides_reasoning(asked: Asked, model: str) -> bool:
    """Tell whether more is billed than is seen: `best_of` writes more than it shows."""
    best_of, shown = asked.body.get("best_of") or 1, asked.body.get("n") or 1
    return best_of > shown or bool(openai_chat.REASONERS.search(model.lower()))


def upstream_path(asked: Asked, sending: Sending) -> str:
    """Return the path under the upstream's base."""
    return "/completions"


def outgoing(asked: Asked, sending: Sending) -> bytes:
    """Serialize anew what is sent: the parsed body, without our fields, with our limits."""
    body = fields.without(asked.body, sending.strip, fields.OURS, ("metadata",))
    body["model"] = sending.model
    if asked.is_stream and sending.injects_usage:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    if sending.max_output is not None:
        body["max_tokens"] = min(sending.max_output, body.get("max_tokens") or sending.max_output)
    return fields.encode(body)


def meter(asked: Asked) -> Meter:
    """Start metering one stream."""
    return Meter(hides_usage=not asked.wants_usage)
