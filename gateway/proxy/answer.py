"""What the client gets: answers with their cost and budget headers, refusals in its dialect."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.proxy.protocols import errors
from gateway.proxy.protocols.wire import Costs, Dialect
from gateway.proxy.upstream.headers import JSON, SAFE, Headers

BUDGET = ("id", "name", "limit", "spent", "held", "uncertain", "needed", "ends_at")
NAMES = ("id", "name", "ends_at")  # what a key sees that may not see amounts
LONGEST_WAIT = 5
BLOCKED = {
    "organization": "The organization",
    "api_key": "The API key",
    "cost_center": "The cost center",
}


class RefusedError(Exception):
    """A call that is not carried out; `code` is one of protocols/errors."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after: int | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
        **members: Any,
    ) -> None:
        """`members` (param, budget, …) join the error object, `headers` those of the answer."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.headers = headers
        self.members = members


@dataclass(slots=True)
class Reply:
    """A complete answer, or the head of a stream whose parts follow."""

    status: int
    headers: Headers
    body: bytes = b""
    parts: AsyncIterator[bytes] | None = None


def dialect_of(path: str) -> Dialect:
    """Return the shape of errors at a path, before its view is known."""
    if path.startswith("/v1/messages"):
        return "anthropic"
    return "gemini" if path.startswith(("/v1beta/", "/v1/models/")) else "openai"


def as_refusal(error: Exception) -> RefusedError:
    """Return the refusal that an error of a lower floor means; one without a code is a fault."""
    code = getattr(error, "code", None)
    if code is None:
        raise error
    return RefusedError(code, str(error), param=getattr(error, "param", None))


def refused(dialect: Dialect, request_id: str, error: RefusedError) -> Reply:
    """Return a refusal."""
    members = {name: value for name, value in error.members.items() if value is not None}
    body = errors.body(dialect, error.code, error.message, request_id=request_id, **members)
    headers = [JSON, *SAFE, (b"x-request-id", request_id.encode())]
    headers += [*errors.headers(error.code, retry_after=error.retry_after), *error.headers]
    return Reply(errors.REFUSALS[error.code].status, headers, body)


def blocked(kind: str, name: str) -> RefusedError:
    """Return the refusal of a call that the kill switch stops; why, and who threw it, is not told."""
    message = f"{BLOCKED[kind]} {name!r} is blocked: its calls are refused until it is unblocked."
    return RefusedError("blocked", message, blocked={"kind": kind, "name": name})


def over_budget(outcome: str, detail: Mapping[str, Any], *, is_amount_hidden: bool) -> RefusedError:
    """Return the refusal of a call that a budget stops."""
    found = detail.get("budget") or {}
    shown = NAMES if is_amount_hidden else BUDGET
    budget = {name: found.get(name) for name in shown}
    name, ends = found.get("name", ""), found.get("ends_at", "")
    if outcome == "budget_exceeded":
        return RefusedError(outcome, f"The budget {name!r} is used up until {ends}.", budget=budget)
    message = f"The budget {name!r} is held by calls under way; try again soon."
    return RefusedError(outcome, message, budget=budget)


def duplicate(detail: Mapping[str, Any]) -> RefusedError:
    """Return the refusal of a call whose idempotency key is taken."""
    if not detail.get("is_same_body"):
        message = "This Idempotency-Key was used with another body."
        return RefusedError("idempotency_mismatch", message, param="Idempotency-Key")
    state = detail.get("state")
    code = {"held": "request_in_progress", "settled": "already_settled"}.get(
        str(state), "outcome_unknown"
    )
    members: dict[str, Any] = {
        "call_id": detail.get("call_id"),
        "state": state,
        "cost": detail.get("cost"),
    }
    return RefusedError(code, f"This Idempotency-Key belongs to a call that is {state}.", **members)


def priced(headers: Headers, costs: Costs, *, remaining: str | None, is_estimated: bool) -> Headers:
    """Return an answer's headers with what the call cost and what is left."""
    found = [*headers, (b"x-request-id", costs.request_id.encode())]
    if costs.cost_usd is not None:
        found.append((b"x-cost-usd", costs.cost_usd.encode()))
    if costs.cost_center is not None:
        found.append((b"x-cost-center", costs.cost_center.encode("ascii", "backslashreplace")))
    if remaining is not None:
        found.append((b"x-budget-remaining-usd", remaining.encode()))
    if is_estimated:
        found.append((b"x-cost-estimated", b"true"))
    return found
