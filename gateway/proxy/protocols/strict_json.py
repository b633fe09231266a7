"""JSON of callers, read strictly: no duplicate keys, no NaN, depth ≤ 64, integers ≤ 2⁵³, UTF-8."""

import json
from typing import Any, NoReturn

import msgspec

from gateway.proxy.protocols.wire import InvalidRequestError, Json

DEPTH = 64
LARGEST = 2**53
DIGITS = 17  # of a number with sign that may still be within 2⁵³


def _object(pairs: list[tuple[str, Any]]) -> Json:
    """Build an object and refuse a repeated key, of which other parsers silently keep the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise InvalidRequestError(f"The key {twice[:64]!r} appears twice.", twice[:64])
    return found


def _integer(text: str) -> int:
    """Read an integer of at most 2⁵³ without building a huge one first."""
    if len(text) > DIGITS or abs(number := int(text)) > LARGEST:
        raise InvalidRequestError("An integer is larger than 2^53.")
    return number


def _fraction(text: str) -> float:
    """Read a number with a fraction or exponent that is finite."""
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InvalidRequestError("A number is out of range.")
    return number


def _constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which are not JSON."""
    raise InvalidRequestError(f"{name} is not JSON.")


_decode = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
).decode


def loads(raw: bytes) -> Any:
    """Parse `raw` strictly or raise InvalidRequestError."""
    try:
        text = raw.decode()
        value = _decode(text)
    except UnicodeDecodeError as error:
        raise InvalidRequestError("The body is not UTF-8.") from error
    except RecursionError as error:
        raise InvalidRequestError(f"The body is nested deeper than {DEPTH}.") from error
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg} at character {error.pos}."
        raise InvalidRequestError(message) from error
    # A body cannot be deeper than it has brackets, so ordinary ones need no walk.
    if text.count("[") + text.count("{") > DEPTH:
        _refuse_depth(value)
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def load_object(raw: bytes) -> Json:
    """Parse `raw` strictly as an object."""
    value = loads(raw)
    if not isinstance(value, dict):
        raise InvalidRequestError("The body must be a JSON object.")
    return value


def _refuse_depth(value: Any) -> None:
    """Refuse nesting deeper than 64, level by level."""
    level = [value]
    for _ in range(DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    if any(isinstance(item, dict | list) for item in level):
        raise InvalidRequestError(f"The body is nested deeper than {DEPTH}.")


def _refuse_surrogates(value: Any) -> None:
    r"""Refuse a lone `\ud800` escape: it is no character and cannot be sent on."""
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise InvalidRequestError("A string holds half of a surrogate pair.") from error
