"""Bodies for Gemini, whose servers take each name in two spellings: brought to one."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gateway.proxy.protocols import fields
from gateway.proxy.protocols.wire import InvalidRequestError, Json, Sending

AFTER = re.compile(r"_+([a-z0-9])")
PLAIN_PARTS = frozenset(
    {"text", "thought", "thoughtSignature", "functionCall", "functionResponse", "partMetadata"}
)


def camel(body: Json) -> Json:
    """Return the body with all names in one spelling; ours keep their own.

    A name that stands in both would be read by us as one limit and by the provider as another.
    """
    found: Json = {}
    for name, value in body.items():
        spelled = name if name in fields.ATTRIBUTION else AFTER.sub(_upper, name)
        if spelled in found:
            raise InvalidRequestError(f"`{spelled}` is given twice.", spelled)
        found[spelled] = value
    return found


def _upper(found: re.Match[str]) -> str:
    """Return the letter after an underscore as a capital."""
    return found[1].upper()


def model_of(path: Mapping[str, str]) -> str:
    """Return the model that the URL names."""
    return fields.model_of({"model": path.get("model", "").removeprefix("models/")})


def method(sending: Sending, name: str) -> str:
    """Return the path of a method of the model."""
    return f"/models/{quote(sending.model.removeprefix('models/'), safe='')}:{name}"


def media(content: Any, place: str) -> str | None:
    """Name the first part of a content that is no text of this request."""
    parts = content.get("parts") if isinstance(content, dict) else None
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        named = camel(part) if isinstance(part, dict) else {}
        answer = named.get("functionResponse")
        if not named.keys() <= PLAIN_PARTS or (isinstance(answer, dict) and "parts" in answer):
            return f"{place}.parts[{number}]"
    return None


def text_of(content: Any) -> str:
    """Return the texts of a content."""
    parts = content.get("parts") if isinstance(content, dict) else None
    found = [p.get("text") for p in parts if isinstance(p, dict)] if isinstance(parts, list) else []
    return "\n".join(text for text in found if isinstance(text, str))
