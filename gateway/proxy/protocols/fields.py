"""Fields of callers' bodies, each checked for its type before anything is made of it."""

import unicodedata
from collections.abc import Collection
from typing import Any

import msgspec

from gateway.proxy.protocols.wire import InvalidRequestError, Json

LARGEST_LIMIT = 10**9
LONGEST_MODEL = 255

# Fields that say who pays (DESIGN §3.2). The first three are ours and never reach a provider.
OURS = ("cost_center", "user_id", "request_path")
ATTRIBUTION = (*OURS, "user", "safety_identifier", "metadata")
OUR_TYPES: dict[str, type] = {
    **dict.fromkeys((*OURS, "user", "safety_identifier"), str),
    "metadata": dict,
}

encode = msgspec.json.Encoder().encode


def typed(body: Json, name: str, kind: type) -> Any:
    """Return a field of the right type, or None where it is absent or null."""
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidRequestError(f"`{name}` has the wrong type.", name)
    return value


def whole(body: Json, name: str, most: int = LARGEST_LIMIT) -> int | None:
    """Return a whole number from 1 to `most`, or None where it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidRequestError(f"`{name}` must be a whole number from 1 to {most}.", name)
    return value


def model_of(body: Json) -> str:
    """Return the model that the body names."""
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_MODEL:
        raise InvalidRequestError("`model` must name a model.", "model")
    if not model.isprintable():  # the books hold no NUL, and people read them
        raise InvalidRequestError("`model` holds characters that cannot be seen.", "model")
    return model


def objects(body: Json, name: str) -> list[Json]:
    """Return a list of at least one object."""
    found = body.get(name)
    if not isinstance(found, list) or not found:
        raise InvalidRequestError(f"`{name}` must be a list with at least one entry.", name)
    if not all(isinstance(item, dict) for item in found):
        raise InvalidRequestError(f"Each of `{name}` must be an object.", name)
    return found


def attribution(body: Json) -> Json:
    """Return the fields that say who pays, every type checked."""
    for name, kind in OUR_TYPES.items():
        typed(body, name, kind)
    return {name: body[name] for name in ATTRIBUTION if name in body}


def unknown(body: Json, known: frozenset[str]) -> str | None:
    """Name the first field of which nobody knows what it does to the bill."""
    if body.keys() <= known:
        return None
    return next((name for name in body if name not in known), None)


def without(body: Json, *names: Collection[str]) -> Json:
    """Return the body without these fields."""
    return {name: value for name, value in body.items() if not any(name in n for n in names)}


def text_length(text: bytes) -> int:
    """Return the bytes of `text`, or of its compatibility form where that is longer."""
    if text.isascii():
        return len(text)
    return max(len(text), len(unicodedata.normalize("NFKC", text.decode()).encode()))


def plain(value: Any) -> str:
    """Return a text as it is, and anything else as JSON; empty for nothing."""
    if isinstance(value, str):
        return value
    return "" if value is None else encode(value).decode()
