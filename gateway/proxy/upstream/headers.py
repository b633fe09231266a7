"""Which headers pass, in both directions (SECURITY §6): allow-lists, everything else stays out."""

import re
from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

# A client may repeat these; any other name that comes twice is refused.
REPEATABLE = frozenset(
    (
        *(b"accept", b"accept-encoding", b"accept-language", b"baggage", b"cache-control"),
        *(b"connection", b"cookie", b"forwarded", b"pragma", b"te", b"tracestate", b"via"),
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
    )
)
# What a client may say to the provider, what is said for it where it must be, and how it may look.
SPOKEN: dict[str, tuple[tuple[bytes, bytes | None], ...]] = {
    "openai": ((b"openai-beta", None),),
    "anthropic": ((b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", None)),
    "gemini": (),
}
PLAIN = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.,=:; /-]{0,511}")
USER_AGENT = b"tollkeeper"
LONGEST_ID = 128

NAMED = (b"request-id", b"x-request-id", b"apim-request-id")  # what a provider calls a request
RETRIES = frozenset((b"retry-after", b"retry-after-ms", b"x-should-retry"))
JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
SAFE: Headers = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class RepeatedHeaderError(ValueError):
    """A header that may stand once came twice; two readers could understand two calls."""

    code = "invalid_request"


def single(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return a request's headers by lower-case name; names with `_` are dropped."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if b"_" in name:
            continue
        if name not in found:
            found[name] = value
        elif name in REPEATABLE:
            found[name] += b", " + value
        else:
            raise RepeatedHeaderError(f"The header {name.decode('latin-1')!r} came twice.")
    return found


def to_upstream(
    client: dict[bytes, bytes],
    *,
    dialect: str,
    credential: Headers,
    request_id: str,
    is_stream: bool,
) -> Headers:
    """Return the headers of an outgoing call; nothing of the client but what is listed passes."""
    headers = [
        JSON,
        (b"accept", b"text/event-stream" if is_stream else b"application/json"),
        (b"user-agent", USER_AGENT),
        (b"x-request-id", request_id.encode("ascii")),
        *credential,
    ]
    for name, usual in SPOKEN[dialect]:
        value = client.get(name)
        if value is not None and PLAIN.fullmatch(value):
            headers.append((name, value))
        elif usual is not None:
            headers.append((name, usual))
    return headers


def to_client(upstream: Headers, *, is_stream: bool) -> Headers:
    """Return what passes of an answer's headers, and what every answer carries."""
    headers = [EVENTS if is_stream else JSON, *SAFE]
    for name, value in upstream:
        if name in RETRIES and PLAIN.fullmatch(value):
            headers.append((name, value))
    return headers


def is_relayable(headers: Headers, *, is_array: bool) -> bool:
    """Tell whether an answer is a stream: some answer a stream's request whole, or with a page."""
    kind = dict(headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind != b"text/html" and (is_array or not kind.endswith(b"json"))


def id_of(upstream: Headers) -> str | None:
    """Return what the provider calls the request: its support and its bills speak of it."""
    found = dict(upstream)
    named = next((found[name] for name in NAMED if name in found), b"")
    return named[:LONGEST_ID].decode("ascii") if PLAIN.fullmatch(named) else None
