"""The models that a key may ask for, listed as each client library expects its own provider's."""

from collections.abc import Iterable
from typing import Any

from gateway.proxy.protocols.wire import Dialect

BEFORE_ALL = "1970-01-01T00:00:00Z"  # a route has no date of birth
METHODS = ("generateContent", "streamGenerateContent", "embedContent", "countTokens")


def listed(names: Iterable[str], dialect: Dialect) -> dict[str, Any]:
    """Return the answer that lists these models, all on one page."""
    found = list(names)
    if dialect == "gemini":
        return {"models": [_gemini(name) for name in found]}
    if dialect == "anthropic":
        ends = {"first_id": found[0], "last_id": found[-1]} if found else {}
        page = {"has_more": False, "first_id": None, "last_id": None, **ends}
        return {"data": [_anthropic(name) for name in found], **page}
    return {"object": "list", "data": [_openai(name) for name in found]}


def _openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "tollkeeper"}


def _anthropic(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": BEFORE_ALL}


def _gemini(name: str) -> dict[str, Any]:
    methods = {"supportedGenerationMethods": METHODS}
    return {"name": f"models/{name}", "displayName": name, **methods}
