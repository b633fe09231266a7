"""What a test of an upstream asks, and what its answer means: the list of models, which costs nothing."""

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from attribution.outbound.addresses import Exceptions, Origin
from gateway.upstreams import kinds
from gateway.upstreams.kinds import KINDS, Headers

MODELS = "/models"
# Lists that anybody may read say nothing of a credential: these paths do.
PATHS = {"openrouter": "/key"}
EXTRA: dict[str, Headers] = {"anthropic": [(b"anthropic-version", b"2023-06-01")]}
# Hosts whose words are shown: those of the kinds, and where Azure gives every customer one.
KNOWN = frozenset(kinds.address(name, "")[0].host for name, kind in KINDS.items() if kind.base_url)
KNOWN_ENDS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
WORDS = 200
CODES = {
    401: "credential_refused",
    403: "credential_refused",
    404: "no_such_path",
    405: "no_such_path",
    429: "rate_limited",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One request, without a body."""

    origin: Origin
    path: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Finding:
    """What a test found. `code` says what is wrong; empty: nothing."""

    code: str = ""
    http_status: int | None = None
    latency_ms: int | None = None
    model_count: int | None = None
    quote: str = ""


def question(kind: str, base_url: str, secret: str | None) -> Question:
    """Return what to ask an upstream; raise AddressError for what is no address."""
    spoken = KINDS[kind].speeches[0]
    origin, path = kinds.address(kind, base_url)
    headers: Headers = [(b"accept", b"application/json"), (b"user-agent", b"tollkeeper")]
    headers += EXTRA.get(kind, [])
    headers += spoken.credential(secret) if secret else []
    return Question(origin, KINDS[kind].prefix(path, spoken) + PATHS.get(kind, MODELS), headers)


def finding(
    kind: str, status: int, body: bytes, *, latency_ms: int, secret: str | None, is_known: bool
) -> Finding:
    """Say what an answer means; its words are quoted only of hosts that are known."""
    if 200 <= status < 300:
        content = _json(body)
        count = _count(content)
        is_fine = isinstance(content, dict) and (count is not None or kind in PATHS)
        return Finding("" if is_fine else "no_list", status, latency_ms, count)
    code = "redirected" if 300 <= status < 400 else CODES.get(status, "upstream_error")
    return Finding(code, status, latency_ms, None, quoted(body, secret) if is_known else "")


def is_known(origin: Origin, exceptions: Exceptions) -> bool:
    """Tell whether an upstream's words may be shown: a provider's host, or one the operator named."""
    return origin in exceptions or origin.host in KNOWN or origin.host.endswith(KNOWN_ENDS)


def quoted(body: bytes, secret: str | None) -> str:
    """Return the first words of an error as plain text, without what controls or hides text."""
    text = body[: 64 * WORDS].decode("utf-8", "replace")
    text = _message(_json(body)) or text
    if secret:
        text = text.replace(secret, "…")  # some providers repeat what they were sent
    plain = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs"} else c for c in text)
    return re.sub(r"\s+", " ", plain).strip()[:WORDS]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _count(content: Any) -> int | None:
    """Return how many models a list names, in OpenAI's, Anthropic's or Gemini's form."""
    if not isinstance(content, dict):
        return None
    listed = content.get("data", content.get("models"))
    return len(listed) if isinstance(listed, list) else None


def _message(content: Any) -> str:
    """Return the words of an error in the form that most providers give it."""
    error = content.get("error") if isinstance(content, dict) else None
    words = error.get("message") if isinstance(error, dict) else error
    return words if isinstance(words, str) else ""
