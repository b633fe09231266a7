"""Granted calls that bring no whole answer: what the books and the client are told (RELIABILITY §11)."""

import time

import msgspec

from gateway.proxy import answer
from gateway.proxy.answer import RefusedError, Reply
from gateway.proxy.bridge.bill import Carried, bill, given_up, released
from gateway.proxy.bridge.money import Settlement
from gateway.proxy.plan import Plan
from gateway.proxy.protocols import errors
from gateway.proxy.protocols.wire import Meter, Seen, StreamError
from gateway.proxy.upstream import headers as wire_headers
from gateway.proxy.upstream import retry
from gateway.proxy.upstream.client import Response
from gateway.proxy.upstream.connection import UpstreamError
from gateway.proxy.upstream.sending import ErrorAnswerError

OVERLOADED = 529  # Anthropic's own status
BUSY = frozenset((429, 503, OVERLOADED))  # worth coming again, whatever stands in the answer
LONGEST = 1024  # bytes; no vocabulary has a longer token
FREE = "The upstream answered with an error; the call was not billed."
TEXTS = {
    "upstream_error": "The upstream failed after the call was sent; it may have been billed.",
    "upstream_timeout": "The upstream did not answer in time; the call may have been billed.",
    "upstream_unreachable": "The upstream cannot be reached; nothing was sent.",
    "blocked": "The call was cut: its key, cost center or organization was blocked.",
}


class FailedError(Exception):
    """A granted call that brings no answer: what the ledger and the client are told."""

    def __init__(self, settlement: Settlement, reply: Reply) -> None:
        """Keep both."""
        super().__init__(settlement.error_code)
        self.settlement, self.reply = settlement, reply


def failed(plan: Plan, settlement: Settlement, code: str) -> FailedError:
    """Return a failure that the client is told of by its code."""
    is_free = settlement.state == "released" and code == "upstream_error"
    return FailedError(settlement, refusal(plan, code, FREE if is_free else TEXTS[code]))


def broken(plan: Plan, carried: Carried, error: UpstreamError) -> FailedError:
    """13: never sent, released. 15, 16: broken after sending, uncertain at the full hold."""
    return failed(plan, given_up(carried) if error.was_sent else released(carried), error.code)


def answered(plan: Plan, carried: Carried, error: ErrorAnswerError) -> FailedError:
    """14: a complete error answer; its words are passed on where it is known what it costs.

    A page in place of JSON is not, but that the provider is busy, and for how long, gets through.
    """
    failure = failed(plan, unpaid(carried, error.status), "upstream_error")
    if error.seen.usage is not None:
        failure = failed(plan, bill(carried, error.seen), "upstream_error")
    is_free = failure.settlement.state == "released"
    is_known = error.status < 500 or error.status == OVERLOADED or is_free
    headers = wire_headers.to_client(error.headers, is_stream=False)
    if error.status >= 400 and is_known and is_json(error.body):
        headers.append((b"x-request-id", plan.id.encode()))
        failure.reply = Reply(error.status, headers, error.body)
    elif is_free and error.status in BUSY:
        failure.reply = _busy(failure.reply, error.status, headers)
    return failure


def _busy(ours: Reply, status: int, headers: wire_headers.Headers) -> Reply:
    """Return our own words with the provider's status and the wait it asks for."""
    kept = [header for header in ours.headers if header[0] != b"x-should-retry"]
    waits = [header for header in headers if header[0].startswith(b"retry-after")]
    return Reply(status, [*kept, (b"x-should-retry", b"true"), *waits], ours.body)


def unread(plan: Plan, carried: Carried, seen: Seen, status: int) -> FailedError:
    """An error that calls itself an answer; or a page, a part: nobody knows what it costs."""
    settlement = unpaid(carried, status) if seen.is_error else given_up(carried)
    return failed(plan, settlement, "upstream_error")


def of_stream(carried: Carried, seen: Seen, *, first_byte: float | None) -> Settlement:
    """Return the settlement of a stream that ended, was cut, or told of an error."""
    code, status = carried.columns["error_code"], carried.columns["http_status"]
    is_free = carried.target.upstream.row.is_error_unbilled or not seen.events
    if seen.is_error and seen.usage is None and is_free:
        carried.columns["error_code"] = "upstream_error"
        return unpaid(carried, status)
    return bill(carried, seen, more_output=one_second(seen, first_byte) if code else 0)


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
    is_named = bool(plan.cut_by) or code in TEXTS
    shown, form = code if is_named else "upstream_error", plan.format
    text = plan.cut_by or TEXTS[shown]
    return errors.event(form.NAME, form.DIALECT, shown, text, request_id=plan.id)


def is_stream(plan: Plan, response: Response) -> bool:
    """Tell whether an answer is relayed as it comes."""
    is_array = plan.asked.is_array
    return plan.asked.is_stream and wire_headers.is_relayable(response.headers, is_array=is_array)


def is_json(raw: bytes) -> bool:
    """Tell whether a body is an object or a list, and whole: nobody knows what another one costs."""
    try:
        return isinstance(msgspec.json.decode(raw), dict | list)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def is_beyond(seen: Seen, most: int) -> bool:
    """Tell whether a stream has certainly said more than `most` tokens."""
    return seen.events > most or seen.text_bytes > most * LONGEST


def ended(code: str, meter: Meter, *, is_framed: bool) -> str:
    """Return the code of what cut a stream, now that all of it was read; empty when it is whole.

    Without framing a cut looks like an end: then the end mark or the usage must have been there.
    A provider that breaks off behind its last word cut nothing.
    """
    try:
        meter.end()
    except StreamError as error:
        return code or error.code
    is_told = meter.seen.usage is not None
    if not code:
        return "" if is_framed or is_told or meter.is_complete else "upstream_error"
    return "" if code in TEXTS and is_told and meter.is_complete else code


def one_second(seen: Seen, first_byte: float | None) -> int:
    """Return the tokens that one second at the observed rate would add to a stream."""
    if first_byte is None:
        return 0
    return int(seen.visible_output() / max(time.monotonic() - first_byte, 0.05)) + 1
