"""The pump: a task of its own that reserves, sends, relays, meters and settles one call.

It owns the upstream's socket and outlives a client that hangs up: what was sent is billed, so it is
booked. Its client reads from a queue of 64 KB; the last bytes go out after the settle.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from attribution import money as amounts
from gateway.proxy import answer
from gateway.proxy.answer import RefusedError, Reply
from gateway.proxy.bound import Bound
from gateway.proxy.bridge.bill import Carried, bill, given_up, released
from gateway.proxy.bridge.line import Lines
from gateway.proxy.bridge.lookup import Lookup
from gateway.proxy.bridge.money import Money, Reservation, Settlement
from gateway.proxy.bridge.pool import LedgerUnavailableError, QuestionError
from gateway.proxy.protocols import errors
from gateway.proxy.protocols.wire import Asked, Costs, Format, Meter, Seen, StreamError
from gateway.proxy.upstream import headers as wire_headers
from gateway.proxy.upstream import retry
from gateway.proxy.upstream.client import Response
from gateway.proxy.upstream.connection import UpstreamError
from gateway.proxy.upstream.relay import Relay
from gateway.proxy.upstream.sending import Courier, Errand, ErrorAnswerError
from gateway.routes.targets import Target

logger = logging.getLogger(__name__)

DRAIN = 60.0  # seconds that an answer is read on for a client who left
DRAINS = 200  # such answers at a time
OVERLOADED = 529  # Anthropic's own status
OVERRUN = 8  # delta events past the bound before the upstream is cut


@dataclass(slots=True)
class Plan:
    """A call, decided: who pays, where it may go, what it can cost at most."""

    id: str
    ms: int
    organization_id: str
    asked: Asked
    format: Format
    targets: list[Target]
    bounded: Bound
    hold: Decimal
    is_hard: bool
    reservation: Reservation
    client: dict[bytes, bytes]
    strip: frozenset[str]
    center: str | None
    is_enriched: bool
    is_amount_hidden: bool
    max_output: int | None  # the limit to send, None leaves the client's own


class FailedError(Exception):
    """A granted call that brings no answer: what the ledger and the client are told."""

    def __init__(self, settlement: Settlement, reply: Reply) -> None:
        """Keep both."""
        super().__init__(settlement.error_code)
        self.settlement, self.reply = settlement, reply


class Pump:
    """One call under way."""

    def __init__(self, pumps: "Pumps", plan: Plan, renew: Callable[[], Awaitable[Plan]]) -> None:
        """`renew` makes the plan anew, with the same id, when the policy changed under it."""
        self.pumps, self.plan, self._renew = pumps, plan, renew
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.relay = Relay()
        self.task: asyncio.Task[None] | None = None
        self.is_left = self._is_sending = self.is_sent = False
        self.is_open = False  # granted, and not yet handed to the ledger for settling
        self._began = time.monotonic()
        self._first_byte: float | None = None
        self._errand: Errand | None = None

    # -- what the client's side does

    def leave(self, *, at_once: bool = False) -> None:
        """Learn that the client is gone: stop a stream, read on what only its end can price."""
        if self.is_left and not at_once:
            return
        self.is_left = True
        self.relay.leave()
        if self._is_sending and self.task is not None:
            if at_once or self._is_visible() or self.pumps.left > DRAINS:
                self.task.cancel()
            else:
                self._drain(self.task)

    def _drain(self, task: "asyncio.Task[None]") -> None:
        """Read the answer on for a while."""
        timer = asyncio.get_running_loop().call_later(DRAIN, self._stop_sending)
        task.add_done_callback(lambda _: timer.cancel())

    def _stop_sending(self) -> None:
        if self._is_sending and self.task is not None:
            self.task.cancel()

    def _is_visible(self) -> bool:
        """Tell whether every billed output token so far was seen."""
        return self.plan.asked.is_stream and not self._hides(self.plan.targets[0])

    # -- the story of the call

    async def run(self) -> None:
        """Carry the call from its reservation to its settlement."""
        dialect = self.plan.format.DIALECT
        try:
            remaining = await self._reserve()
            await self._carry(remaining)
        except FailedError as failure:
            await self._settle(failure.settlement)
            self._answer(failure.reply)
        except RefusedError as error:
            self._answer(answer.refused(dialect, self.plan.id, error))
        except (LedgerUnavailableError, QuestionError) as error:
            self._answer(self._refusal(error.code, str(error)))
        finally:
            if self.is_open:  # a fault: what was sent may have been billed
                self.pumps.money.give_up(self.plan.id, is_sent=self.is_sent)
            self.relay.end()
            if not self.reply.done():
                self._answer(self._refusal("upstream_error", _TEXTS["upstream_error"]))
            if self._errand is not None and self._errand.failed:
                self.pumps.note(self._errand.failed)

    async def _reserve(self) -> str | None:
        """Hold the most that the call can cost; return what then is left. COMMIT came before."""
        money = self.pumps.money
        outcome, detail = await self._admitted()
        if outcome == "stale":
            self.plan = await self._renew()
            outcome, detail = await self._admitted()
        if outcome == "granted":
            self.is_open = True
            remaining: str | None = detail.get("remaining")
            return remaining
        if outcome in {"budget_exceeded", "budget_reserved"}:
            money.forget(self.plan.id)
            raise answer.over_budget(outcome, detail, is_amount_hidden=self.plan.is_amount_hidden)
        if outcome == "duplicate":
            money.forget(self.plan.id)
            raise answer.duplicate(detail)
        money.give_back(self.plan.reservation)
        raise LedgerUnavailableError("the call could not be admitted")

    async def _admitted(self) -> tuple[str, Mapping[str, Any]]:
        """Ask for admission; wait in line where only open calls are in the way."""
        reservation = self.plan.reservation
        outcome, detail = await self.pumps.money.reserve(reservation)
        if outcome == "budget_reserved" and reservation.wait:
            return await self.pumps.lines.wait(reservation, detail, lambda: self.is_left)
        return outcome, detail

    async def _carry(self, remaining: str | None) -> None:
        """Send, relay, settle."""
        errand = self._errand = self._packed()
        if self.is_left:
            raise self._failed(released(self._carried(None, "client_gone")), "upstream_unreachable")
        self._is_sending = True
        response: Response | None = None
        try:
            response = await errand.open()
            if self.plan.asked.is_stream:
                await self._stream(response, remaining)
            else:
                await self._unary(response)
        except UpstreamError as error:
            raise self._broken(error) from error
        except ErrorAnswerError as error:
            raise self._refused(error) from error
        except asyncio.CancelledError:
            if not self._was_left():
                raise
            await self._abandoned()
        finally:
            self._is_sending = False
            if response is not None:
                response.close()

    def _packed(self) -> Errand:
        plan = self.plan
        return Errand(
            courier=self.pumps.courier,
            call=plan.id,
            organization_id=plan.organization_id,
            asked=plan.asked,
            format=plan.format,
            targets=plan.targets,
            client=plan.client,
            strip=plan.strip,
            max_output=plan.max_output,
            on_send=self._on_send,
            target=plan.targets[0],
        )

    def _on_send(self) -> None:
        self.is_sent = True
        self.pumps.money.journal.sent(self.plan.id)

    def _was_left(self) -> bool:
        """Tell whether a cancellation came of the client's leaving, and take it back if so."""
        if self.is_left and self.task is not None:
            self.task.uncancel()
        return self.is_left

    async def _abandoned(self) -> None:
        """Settle a call whose client left before anything of its answer could be metered."""
        self._is_sending = False
        carried = self._carried(None, "client_gone")
        if not self.is_sent:
            await self._settle(released(carried))
        elif self.plan.asked.is_stream:
            await self._settle(bill(carried, Seen()))
        else:
            await self._settle(given_up(carried))

    # -- answers

    async def _unary(self, response: Response) -> None:
        """Read a whole answer, settle it, then hand it over."""
        raw = await response.read()
        self._is_sending = False
        seen = self.plan.format.read_answer(raw)
        if seen.is_error and seen.usage is None:
            raise self._failed(self._unpaid(response.status), "upstream_error")
        settlement = bill(self._carried(response.status), seen)
        detail = await self._settle(settlement)
        costs = Costs(settlement.cost, self.plan.center, self.plan.id)
        body = self.plan.format.enrich(raw, costs) if self.plan.is_enriched else raw
        headers = answer.priced(
            wire_headers.to_client(response.headers, is_stream=False),
            costs,
            remaining=self._shown(detail.get("remaining")),
            is_estimated=settlement.is_estimated,
        )
        self._answer(Reply(response.status, headers, body))

    async def _stream(self, response: Response, remaining: str | None) -> None:
        """Relay a stream while metering it; its last bytes wait for the settle."""
        plan = self.plan
        headers = answer.priced(
            wire_headers.to_client(response.headers, is_stream=not plan.asked.is_array),
            Costs(None, plan.center, plan.id),
            remaining=self._shown(remaining),
            is_estimated=False,
        )
        self._answer(Reply(response.status, headers, parts=self.relay))
        meter = plan.format.meter(plan.asked)
        code = await self._relayed(response, meter)
        self._is_sending = False
        seen, carried = meter.seen, self._carried(response.status, code)
        is_free = carried.target.upstream.row.is_error_unbilled or not seen.events
        if seen.is_error and seen.usage is None and is_free:
            settlement = self._unpaid(response.status)
        else:
            more = self._one_second(seen) if code else 0
            settlement = bill(carried, seen, more_output=more)
        await self._settle(settlement)
        if code not in {"", "client_gone"}:
            await self.relay.put(self._error_event(code))
        costs = Costs(settlement.cost, plan.center, plan.id) if plan.is_enriched else None
        await self.relay.put(meter.tail(costs))

    async def _relayed(self, response: Response, meter: Meter) -> str:
        """Relay until the end; return the code of what cut the stream, empty when nothing did."""
        try:
            return await self._passed(response, meter)
        except (UpstreamError, StreamError) as error:
            return error.code
        except asyncio.CancelledError:
            if not self._was_left():
                raise
            return "client_gone"
        finally:
            meter.end()

    async def _passed(self, response: Response, meter: Meter) -> str:
        """Pass on what arrives, until its end mark or until it exceeds the bound."""
        most = self.plan.bounded.output_tokens + OVERRUN
        while chunk := await response.next():
            if self._first_byte is None:
                self._first_byte = time.monotonic()
            await self.relay.put(meter.feed(chunk))
            if meter.is_complete:
                break
            if self.plan.is_hard and meter.seen.events > most:
                logger.error("bound_breach", extra={"call": self.plan.id})
                return "bound_breach"
        return ""

    def _one_second(self, seen: Seen) -> int:
        """Return the tokens that one second at the observed rate would add."""
        if self._first_byte is None:
            return 0
        seconds = max(time.monotonic() - self._first_byte, 0.05)
        return int(seen.visible_output() / seconds) + 1

    # -- failures (RELIABILITY §11)

    def _broken(self, error: UpstreamError) -> FailedError:
        """13: never sent, released. 15, 16: broken after sending, uncertain at the full hold."""
        carried = self._carried(None, error.code)
        return self._failed(given_up(carried) if error.was_sent else released(carried), error.code)

    def _refused(self, error: ErrorAnswerError) -> FailedError:
        """14: a complete error answer; what may be shown of it is shown."""
        failure = self._failed(self._unpaid(error.status), "upstream_error")
        is_known = error.status < 500 or error.status == OVERLOADED
        is_shown = error.status >= 400 and (is_known or failure.settlement.state == "released")
        if is_shown and error.body.lstrip()[:1] in {b"{", b"["}:
            headers = wire_headers.to_client(error.headers, is_stream=False)
            headers.append((b"x-request-id", self.plan.id.encode()))
            failure.reply = Reply(error.status, headers, error.body)
        return failure

    def _unpaid(self, status: int) -> Settlement:
        """Return what an error answer without usage costs: nothing, or nobody knows."""
        carried = self._carried(status, "upstream_error")
        is_free = retry.is_unbilled(status) or carried.target.upstream.row.is_error_unbilled
        return (released if is_free else given_up)(carried)

    def _failed(self, settlement: Settlement, code: str) -> FailedError:
        return FailedError(settlement, self._refusal(code, _TEXTS[code]))

    # -- small things

    async def _settle(self, settlement: Settlement) -> Mapping[str, Any]:
        self.is_open = False
        return await self.pumps.money.settle(settlement)

    def _carried(self, status: int | None, code: str = "") -> Carried:
        plan, now, errand = self.plan, time.monotonic(), self._errand
        target = errand.target if errand else plan.targets[0]
        return Carried(
            call=plan.id,
            at_ms=plan.ms,
            hold=plan.hold,
            target=target,
            price=target.price_at(plan.ms),
            input_bound=plan.bounded.input_tokens,
            output_bound=None if plan.bounded.unbounded else plan.bounded.output_tokens,
            hides_output=self._hides(target),
            is_free=plan.asked.is_free,
            columns={
                "attempts": errand.attempts if errand else 0,
                "http_status": status,
                "error_code": code,
                "first_byte_ms": int(((self._first_byte or now) - self._began) * 1000),
                "total_ms": int((now - self._began) * 1000),
            },
        )

    def _hides(self, target: Target) -> bool:
        return self.plan.format.hides_reasoning(self.plan.asked, target.model)

    def _shown(self, remaining: str | None) -> str | None:
        is_hidden = remaining is None or self.plan.is_amount_hidden
        return None if is_hidden else amounts.text(Decimal(remaining or 0))

    def _refusal(self, code: str, message: str) -> Reply:
        return answer.refused(self.plan.format.DIALECT, self.plan.id, RefusedError(code, message))

    def _error_event(self, code: str) -> bytes:
        if self.plan.asked.is_array:
            return b""  # nothing can be said inside an array: its missing bracket tells
        shown, form = code if code in _TEXTS else "upstream_error", self.plan.format
        return errors.event(form.NAME, form.DIALECT, shown, _TEXTS[shown], request_id=self.plan.id)

    def _answer(self, reply: Reply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


_TEXTS = {
    "upstream_error": "The upstream failed after the call was sent; it may have been billed.",
    "upstream_timeout": "The upstream did not answer in time; the call may have been billed.",
    "upstream_unreachable": "The upstream cannot be reached; nothing was sent.",
}


class Pumps:
    """The calls under way, strongly held, and what they share."""

    def __init__(self, money: Money, lookup: Lookup, courier: Courier) -> None:
        """Start without calls."""
        self.money, self.lookup, self.courier = money, lookup, courier
        self.lines = Lines(money)
        self._open: set[Pump] = set()
        self._notes: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def left(self) -> int:
        """Return how many calls under way have lost their client."""
        return sum(pump.is_left for pump in self._open)

    def start(self, plan: Plan, renew: Callable[[], Awaitable[Plan]]) -> Pump:
        """Start the pump of a call, detached from the client's task."""
        pump = Pump(self, plan, renew)
        pump.task = asyncio.get_running_loop().create_task(pump.run())
        self._open.add(pump)
        pump.task.add_done_callback(lambda task: self._ended(pump, task))
        return pump

    async def stop(self, *, within: float) -> None:
        """Let calls under way finish; settle the rest as if their clients had left."""
        tasks = [pump.task for pump in self._open if pump.task]
        if tasks:
            await asyncio.wait(tasks, timeout=within)
        left = [(pump, pump.task) for pump in self._open if pump.task]
        for pump, _ in left:
            pump.leave(at_once=True)
        if left:
            await asyncio.wait([task for _, task in left], timeout=3)

    def note(self, failed: list[dict[str, Any]]) -> None:
        """Write failed tries behind the call."""
        task = asyncio.get_running_loop().create_task(self._noted(failed))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _noted(self, failed: list[dict[str, Any]]) -> None:
        try:
            await self.lookup.attempts(failed)
        except (LedgerUnavailableError, QuestionError):
            logger.warning("attempts.lost", extra={"call": failed[0]["usage_id"]})

    def _ended(self, pump: Pump, task: "asyncio.Task[None]") -> None:
        self._open.discard(pump)
        if not task.cancelled() and (error := task.exception()):
            logger.error("pump.failed", extra={"call": pump.plan.id}, exc_info=error)
