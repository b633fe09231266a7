"""Every refusal of the gateway as data, and its body in the shape of each wire format."""

from typing import Any, NamedTuple

import msgspec

from gateway.proxy.protocols.wire import Dialect


class Refusal(NamedTuple):
    """What a stable code means to programs. Client libraries obey `should_retry`."""

    status: int
    openai_type: str
    anthropic_type: str
    gemini_status: str
    should_retry: bool = False
    retry_after: int | None = None  # seconds, where the caller knows no better


def _invalid(status: int = 400, gemini: str = "INVALID_ARGUMENT") -> Refusal:
    """Describe a request that will not get better by being repeated."""
    return Refusal(status, "invalid_request_error", "invalid_request_error", gemini)


def _denied(status: int, kind: str, gemini: str) -> Refusal:
    """Describe a caller who may not do this."""
    return Refusal(status, "invalid_request_error", kind, gemini)


def _again(status: int, kinds: tuple[str, str, str], retry_after: int | None = None) -> Refusal:
    """Describe a refusal that will pass: client libraries may come again."""
    return Refusal(status, *kinds, should_retry=True, retry_after=retry_after)


BUSY = ("rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED")
BROKEN = ("server_error", "api_error", "UNAVAILABLE")

REFUSALS: dict[str, Refusal] = {
    "invalid_request": _invalid(),
    "unknown_cost_center": _invalid(),
    "conflicting_credentials": _invalid(),
    "invalid_api_key": _denied(401, "authentication_error", "UNAUTHENTICATED"),
    "budget_exceeded": Refusal(402, "insufficient_quota", "billing_error", "PERMISSION_DENIED"),
    "model_not_allowed": _denied(403, "permission_error", "PERMISSION_DENIED"),
    "scope_not_allowed": _denied(403, "permission_error", "PERMISSION_DENIED"),
    "attribution_not_allowed": _denied(403, "permission_error", "PERMISSION_DENIED"),
    "blocked": _denied(403, "permission_error", "PERMISSION_DENIED"),
    "unknown_model": _denied(404, "not_found_error", "NOT_FOUND"),
    "not_found": _denied(404, "not_found_error", "NOT_FOUND"),
    "method_not_allowed": _invalid(405),
    "body_timeout": _again(408, ("invalid_request_error", "timeout_error", "DEADLINE_EXCEEDED")),
    "request_in_progress": _again(
        409, ("invalid_request_error", "invalid_request_error", "ABORTED"), 2
    ),
    "already_settled": _invalid(409, "ABORTED"),
    "outcome_unknown": _invalid(409, "ABORTED"),
    "body_too_large": _denied(413, "request_too_large", "INVALID_ARGUMENT"),
    "unsupported_encoding": _invalid(415),
    "unbounded_request": _invalid(422),
    "unpriced_model": _invalid(422),
    "idempotency_mismatch": _invalid(422),
    "budget_reserved": _again(429, BUSY, 1),
    "rate_limited": _again(429, BUSY, 1),
    # never sent, so repeating it costs nothing; the two others may have been billed
    "upstream_unreachable": _again(502, BROKEN),
    "upstream_error": Refusal(502, *BROKEN),
    "upstream_timeout": Refusal(504, "server_error", "api_error", "DEADLINE_EXCEEDED"),
    "ledger_unavailable": _again(503, ("server_error", "overloaded_error", "UNAVAILABLE"), 1),
}


def body(
    dialect: Dialect,
    code: str,
    message: str,
    *,
    request_id: str | None = None,
    **members: Any,
) -> bytes:
    """Return the body of a refusal; `members` (param, budget, …) join its error object."""
    refusal = REFUSALS[code]
    if dialect == "anthropic":
        error = {"type": refusal.anthropic_type, "message": message, "code": code, **members}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})
    if dialect == "gemini":
        error = {
            "code": refusal.status,
            "message": message,
            "status": refusal.gemini_status,
            "reason": code,
            **members,
        }
        return msgspec.json.encode({"error": error})
    param = members.pop("param", None)
    error = {"message": message, "type": refusal.openai_type, "param": param, "code": code}
    return msgspec.json.encode({"error": {**error, **members}})


def event(name: str, dialect: Dialect, code: str, message: str, *, request_id: str) -> bytes:
    """Return the event that tells the client of a stream in the format `name` why it was cut.

    Nothing can be said inside a JSON array: there the missing bracket tells.
    """
    if name == "openai_responses":
        data = msgspec.json.encode({"type": "error", "code": code, "message": message})
        return b"event: error\ndata: " + data + b"\n\n"
    data = body(dialect, code, message, request_id=request_id)
    kind = b"event: error\n" if dialect == "anthropic" else b""
    return kind + b"data: " + data + b"\n\n"


def headers(code: str, *, retry_after: int | None = None) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell a client library whether and when to come again."""
    refusal = REFUSALS[code]
    wait = refusal.retry_after if retry_after is None else retry_after
    found = [(b"x-should-retry", b"true" if refusal.should_retry else b"false")]
    if wait is not None and refusal.should_retry:
        found.append((b"retry-after", str(wait).encode()))
    return found
