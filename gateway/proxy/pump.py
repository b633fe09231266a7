"""The pump: a task of its own that reserves, sends, relays, meters and settles one call.

It owns the upstream's socket and outlives a client that hangs up: what was sent is billed, so it is
booked. Its client reads from a queue of 64 KB; the last bytes go out after the settle.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from gateway.proxy import answer, failures, fit, throttle
from gateway.proxy.answer import RefusedError, Reply
from gateway.proxy.bridge.bill import Carried, bill, given_up, released
from gateway.proxy.bridge.money import Settlement
from gateway.proxy.bridge.pool import LedgerUnavailableError, QuestionError
from gateway.proxy.failures import FailedError
from gateway.proxy.leash import Leash
from gateway.proxy.plan import Plan
from gateway.proxy.protocols.wire import Costs, Meter, Seen, StreamError
from gateway.proxy.upstream import headers as wire_headers
from gateway.proxy.upstream.client import Response
from gateway.proxy.upstream.connection import UpstreamError
from gateway.proxy.upstream.relay import Relay
from gateway.proxy.upstream.sending import Courier, Errand, ErrorAnswerError

logger = logging.getLogger(__name__)

DRAIN = 60.0  # seconds that an answer is read on for a client who left
DRAINS = 200  # such answers at a time
STOPPED = {"blocked": "blocked", "client_gone": "upstream_error"}  # what is told of a stopped call
OVERRUN = 8  # delta events past the bound before the upstream is cut


class Company(fit.Desk, Protocol):
    """What the pumps of a process share."""

    courier: Courier

    @property
    def left(self) -> int:
        """Return how many calls under way have lost their client."""

    def note(self, failed: list[dict[str, Any]]) -> None:
        """Write failed tries behind the call."""

    def tell(self, plan: Plan, settlement: Settlement) -> None:
        """Tell who listens of a settled call; waits for nothing."""


class Pump:
    """One call under way."""

    def __init__(self, pumps: Company, plan: Plan, renew: Callable[[], Awaitable[Plan]]) -> None:
        """`renew` makes the plan anew, with the same id, when the policy changed under it."""
        self.pumps, self.plan, self._renew = pumps, plan, renew
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.relay = Relay()
        self.task: asyncio.Task[None] | None = None
        self.is_left = self.is_cut = self._is_sending = False
        self.is_open = False  # granted, and not yet handed to the ledger for settling
        self.used: int | None = 0  # tokens, as far as known
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
            is_free = not self._is_billable  # never sent, or refused so far
            if at_once or is_free or self._is_visible() or self.pumps.left > DRAINS:
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

    def cut(self) -> None:
        """Learn that the call was blocked while it was under way: what it used is settled."""
        self.is_cut = True
        self._stop_sending()

    @property
    def _is_billable(self) -> bool:
        """Tell whether something was sent that the provider may bill."""
        return self._errand is not None and self._errand.is_billable

    def _is_visible(self) -> bool:
        """Tell whether every billed output token so far was seen."""
        return self.plan.asked.is_stream and not self.plan.hides_output(self.plan.targets[0])

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
            self._answer(failures.refusal(self.plan, error.code, str(error)))
        finally:
            if self.is_open:  # a fault: what was sent may have been billed
                self.pumps.money.give_up(self.plan.id, is_sent=self._is_billable)
            self.relay.end()
            if not self.reply.done():
                message = failures.TEXTS["upstream_error"]
                self._answer(failures.refusal(self.plan, "upstream_error", message))
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
            self.is_open, self.used = True, None
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
        return await fit.admit(self.pumps, self.plan, lambda: self.is_left)

    async def _carry(self, remaining: str | None) -> None:
        """Send, relay, settle."""
        journal, call = self.pumps.money.journal, self.plan.id
        errand = self._errand = self.plan.errand(self.pumps.courier, lambda: journal.sent(call))
        if self.is_left or self.is_cut:  # before anything was sent
            code = "blocked" if self.is_cut else "client_gone"
            settlement = released(self._carried(None, code))
            shown = "blocked" if self.is_cut else "upstream_unreachable"
            raise failures.failed(self.plan, settlement, shown)
        self._is_sending = True
        response: Response | None = None
        try:
            response = await errand.open()
            if failures.is_stream(self.plan, response):
                await self._stream(response, remaining)
            else:
                await self._unary(response)
        except UpstreamError as error:
            carried = self._carried(None, error.code)
            raise failures.broken(self.plan, carried, error) from error
        except ErrorAnswerError as error:
            carried = self._carried(error.status, "upstream_error")
            raise failures.answered(self.plan, carried, error) from error
        except asyncio.CancelledError:
            if not (code := self._why_stopped()):
                raise
            self._is_sending = False
            settlement = self._abandoned(code)
            raise failures.failed(self.plan, settlement, STOPPED[code]) from None
        finally:
            self._is_sending = False
            if response is not None:
                response.close()

    def _why_stopped(self) -> str:
        """Say what a cancellation came of, and take it back; nothing if it is none of ours."""
        code = "blocked" if self.is_cut else "client_gone" if self.is_left else ""
        if code and self.task is not None:
            self.task.uncancel()
        return code

    def _abandoned(self, code: str) -> Settlement:
        """Return the settlement of a call that was stopped before its answer could be metered."""
        carried = self._carried(None, code)
        if not self._is_billable:
            return released(carried)
        return bill(carried, Seen()) if self.plan.asked.is_stream else given_up(carried)

    # -- answers

    async def _unary(self, response: Response) -> None:
        """Read a whole answer, settle it, then hand it over."""
        raw = await response.read()
        self._is_sending = False
        seen = self.plan.format.read_answer(raw)
        if seen.usage is None and (seen.is_error or not failures.is_json(raw)):
            carried = self._carried(response.status, "upstream_error")
            raise failures.unread(self.plan, carried, seen, response.status)
        settlement = bill(self._carried(response.status), seen)
        detail = await self._settle(settlement)
        costs = Costs(settlement.cost, self.plan.center, self.plan.id)
        body = self.plan.format.enrich(raw, costs) if self.plan.is_enriched else raw
        headers = answer.priced(
            wire_headers.to_client(response.headers, is_stream=False),
            costs,
            remaining=self.plan.shown(detail.get("remaining")),
            is_estimated=settlement.is_estimated,
        )
        self._answer(Reply(response.status, headers, body))

    async def _stream(self, response: Response, remaining: str | None) -> None:
        """Relay a stream while metering it; its last bytes wait for the settle."""
        plan = self.plan
        headers = answer.priced(
            wire_headers.to_client(response.headers, is_stream=not plan.asked.is_array),
            Costs(None, plan.center, plan.id),
            remaining=plan.shown(remaining),
            is_estimated=False,
        )
        self._answer(Reply(response.status, headers, parts=self.relay))
        meter = plan.format.meter(plan.asked)
        code = await self._relayed(response, meter)
        self._is_sending = False
        carried = self._carried(response.status, code)
        settlement = failures.of_stream(carried, meter.seen, first_byte=self._first_byte)
        await self._settle(settlement)
        if code not in {"", "client_gone"}:
            await self.relay.put(failures.event(plan, code))
        costs = Costs(settlement.cost, plan.center, plan.id) if plan.is_enriched else None
        await self.relay.put(meter.tail(costs))

    async def _relayed(self, response: Response, meter: Meter) -> str:
        """Relay until the end; return the code of what cut the stream, empty when nothing did."""
        try:
            code = await self._passed(response, meter)
        except (UpstreamError, StreamError) as error:
            code = error.code
        except asyncio.CancelledError:
            if not (code := self._why_stopped()):
                raise
        return failures.ended(code, meter, is_framed=response.is_framed)

    async def _passed(self, response: Response, meter: Meter) -> str:
        """Pass on what arrives, until its end mark or until it exceeds the bound."""
        most, rates = self.plan.bounded.output_tokens + OVERRUN, self.plan.elastic
        leash = Leash(self.pumps, self.plan, rates) if rates else None
        while chunk := await response.next():
            if self._first_byte is None:
                self._first_byte = time.monotonic()
            await self.relay.put(meter.feed(chunk))
            if meter.is_complete:
                break
            if leash is not None and (code := await leash.check(meter.seen)):
                return code
            if self.plan.is_hard and failures.is_beyond(meter.seen, most):
                logger.error("bound_breach", extra={"call": self.plan.id})
                return "bound_breach"
        return ""

    # -- small things

    async def _settle(self, settlement: Settlement) -> Mapping[str, Any]:
        self.is_open = False
        self.used = throttle.used(settlement)
        detail = await self.pumps.money.settle(settlement)
        self.pumps.tell(self.plan, settlement)
        return detail

    def _carried(self, status: int | None, code: str = "") -> Carried:
        now, errand = time.monotonic(), self._errand
        columns = {
            "attempts": errand.attempts if errand else 0,
            "upstream_request_id": errand.answer_id if errand else None,
            "http_status": status,
            "error_code": code,
            "first_byte_ms": int(((self._first_byte or now) - self._began) * 1000),
            "total_ms": int((now - self._began) * 1000),
        }
        return self.plan.carried(errand.target if errand else self.plan.targets[0], columns)

    def _answer(self, reply: Reply) -> None:
        if not self.reply.done():
            reply.headers = [*reply.headers, *self.plan.notes]
            self.reply.set_result(reply)
