"""Granted calls that bring no whole answer: what the books and the client are told (RELIABILITY §11)."""

from gateway.proxy import answer
from gateway.proxy.answer import RefusedError, Reply
from gateway.proxy.bridge.bill import Carried, given_up, released
from gateway.proxy.bridge.money import Settlement
from gateway.proxy.plan import Plan
from gateway.proxy.protocols import errors
from gateway.proxy.upstream import headers as wire_headers
from gateway.proxy.upstream import retry
from gateway.proxy.upstream.connection import UpstreamError
from gateway.proxy.upstream.sending import ErrorAnswerError

OVERLOADED = 529  # Anthropic's own status
TEXTS = {
    "upstream_error": "The upstream failed after the call was sent; it may have been billed.",
    "upstream_timeout": "The upstream did not answer in time; the call may have been billed.",
    "upstream_unreachable": "The upstream cannot be reached; nothing was sent.",
}


class FailedError(Exception):
    """A granted call that brings no answer: what the ledger and the client are told."""

    def __init__(self, settlement: Settlement, reply: Reply) -> None:
        """Keep both."""
        super().__init__(settlement.error_code)
        self.settlement, self.reply = settlement, reply


def failed(plan: Plan, settlement: Settlement, code: str) -> FailedError:
    """Return a failure that the client is told of by its code."""
    return FailedError(settlement, refusal(plan, code, TEXTS[code]))


def broken(plan: Plan, carried: Carried, error: UpstreamError) -> FailedError:
    """13: never sent, released. 15, 16: broken after sending, uncertain at the full hold."""
    return failed(plan, given_up(carried) if error.was_sent else released(carried), error.code)


def answered(plan: Plan, carried: Carried, error: ErrorAnswerError) -> FailedError:
    """14: a complete error answer; its words are passed on where it is known what it costs."""
    failure = failed(plan, unpaid(carried, error.status), "upstream_error")
    is_known = error.status < 500 or error.status == OVERLOADED
    is_shown = error.status >= 400 and (is_known or failure.settlement.state == "released")
    if is_shown and error.body.lstrip()[:1] in {b"{", b"["}:
        headers = wire_headers.to_client(error.headers, is_stream=False)
        headers.append((b"x-request-id", plan.id.encode()))
        failure.reply = Reply(error.status, headers, error.body)
    return failure


def unpaid(carried: Carried, status: int) -> Settlement:
    """Return what an error answer without usage costs: nothing, or nobody knows."""
    is_free = retry.is_unbilled(status) or carried.target.upstream.row.is_error_unbilled
    return (released if is_free else given_up)(carried)


def refusal(plan: Plan, code: str, message: str) -> Reply:
    """Return a refusal in the dialect of the call."""
    return answer.refused(plan.format.DIALECT, plan.id, RefusedError(code, message))


def event(plan: Plan, code: str) -> bytes:
    """Return the last words of a stream that was cut; an array has none: its bracket is missing."""
    if plan.asked.is_array:
        return b""
    shown, form = code if code in TEXTS else "upstream_error", plan.format
    return errors.event(form.NAME, form.DIALECT, shown, TEXTS[shown], request_id=plan.id)
