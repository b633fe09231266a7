"""The pump: a task of its own that reserves, sends, relays, meters and settles one call.

It owns the upstream's socket and outlives a client that hangs up: what was sent is billed, so it is
booked. Its client reads from a queue of 64 KB; the last bytes go out after the settle.
"""

import asyncio
import collections
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from attribution import money as amounts
from gateway.proxy import answer
from gateway.proxy.answer import RefusedError, Reply
from gateway.proxy.bound import Bound
from gateway.proxy.bridge.bill import Carried, bill, given_up, released
from gateway.proxy.bridge.catalog import Target
from gateway.proxy.bridge.credentials import Credentials
from gateway.proxy.bridge.lookup import Lookup
from gateway.proxy.bridge.money import Money, Reservation, Settlement
from gateway.proxy.bridge.pool import LedgerUnavailableError
from gateway.proxy.protocols import errors
from gateway.proxy.protocols.wire import Asked, Costs, Format, Meter, Seen, Sending, StreamError
from gateway.proxy.upstream import headers as wire_headers
from gateway.proxy.upstream import retry
from gateway.proxy.upstream.breaker import Breakers
from gateway.proxy.upstream.client import Client, Request, Response
from gateway.proxy.upstream.connection import (
    Deadlines,
    UpstreamBrokenError,
    UpstreamError,
    UpstreamUnreachableError,
)
from gateway.proxy.upstream.demo import open_demo
from gateway.upstreams.envelope import EnvelopeError

logger = logging.getLogger(__name__)

QUEUE = 64 * 1024
ERROR_BODY = 64 * 1024
DRAIN = 60.0  # seconds that an answer is read on for a client who left
DRAINS = 200  # such answers at a time
ROOM = 0.1  # seconds between two questions of a call that waits for other calls to settle
PASSED = frozenset({400, 404, 409, 413, 415, 422, 429, 503, 529})  # error answers a client may see
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


class Relay:
    """The bounded queue between the pump and its client."""

    def __init__(self) -> None:
        """Start empty."""
        self._parts: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._is_ended = self.is_left = False

    async def put(self, data: bytes) -> None:
        """Queue bytes; wait while the client is 64 KB behind."""
        if self.is_left or not data:
            return
        self._parts.append(data)
        self._size += len(data)
        _wake(self._reader)
        while self._size > QUEUE and not self.is_left:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    def end(self) -> None:
        """Say that nothing more comes."""
        self._is_ended = True
        _wake(self._reader)

    def leave(self) -> None:
        """Say that the client is gone."""
        self.is_left = True
        self._parts.clear()
        self._size = 0
        _wake(self._writer)

    def __aiter__(self) -> "Relay":
        return self

    async def __anext__(self) -> bytes:
        while not self._parts:
            if self._is_ended:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        data = self._parts.popleft() if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        _wake(self._writer)
        return data


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
        self._attempts = 0
        self._failed: list[dict[str, Any]] = []

    # -- what the client's side does

    def leave(self, *, at_once: bool = False) -> None:
        """Learn that the client is gone: stop a stream, read on what only its end can price."""
        if self.is_left:
            return
        self.is_left = True
        self.relay.leave()
        if self._is_sending:
            self._abandon(at_once=at_once)

    def _abandon(self, *, at_once: bool) -> None:
        plan, task = self.plan, self.task
        is_visible = plan.asked.is_stream and not self._hides(plan.targets[0])
        if task is None:
            return
        if at_once or is_visible or self.pumps.drains >= DRAINS:
            task.cancel()
            return
        self.pumps.drains += 1
        timer = asyncio.get_running_loop().call_later(DRAIN, self._stop_sending)
        task.add_done_callback(lambda _: self._drained(timer))

    def _drained(self, timer: asyncio.TimerHandle) -> None:
        self.pumps.drains -= 1
        timer.cancel()

    def _stop_sending(self) -> None:
        if self._is_sending and self.task is not None:
            self.task.cancel()

    # -- the story of the call

    async def run(self) -> None:
        """Carry the call from its reservation to its settlement."""
        plan = self.plan
        try:
            remaining = await self._reserve()
            await self._carry(remaining)
        except FailedError as failure:
            await self._settle(failure.settlement)
            self._answer(failure.reply)
        except RefusedError as error:
            self._answer(answer.refused(plan.format.DIALECT, plan.id, error))
        except LedgerUnavailableError as error:
            self._answer(self._refusal(error.code, str(error)))
        finally:
            self.relay.end()
            if not self.reply.done():
                self._answer(self._refusal("upstream_error", "The call failed."))
            if self._failed:
                self.pumps.note(self._failed)

    async def _reserve(self) -> str | None:
        """Hold the most that the call can cost; return what then is left. COMMIT came before."""
        money = self.pumps.money
        outcome, detail = await money.reserve(self.plan.reservation)
        if outcome == "stale":
            self.plan = await self._renew()
            outcome, detail = await money.reserve(self.plan.reservation)
        if outcome == "budget_reserved" and self.plan.reservation.wait:
            outcome, detail = await self._wait(detail)
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

    async def _wait(self, detail: Any) -> tuple[str, Any]:
        """Wait in line until open calls made room, at most as long as the budget says."""
        money, reservation, loop = (
            self.pumps.money,
            self.plan.reservation,
            asyncio.get_running_loop(),
        )
        until = loop.time() + detail["budget"]["wait_ms"] / 1000
        line = self.pumps.lines.setdefault(detail["budget"]["id"], asyncio.Lock())
        try:
            async with asyncio.timeout_at(until):
                await line.acquire()
        except TimeoutError:
            reservation.wait = False
            return await money.reserve(reservation)
        try:
            while True:
                # Never under a time-out: a grant that nobody takes would be given back too late.
                reservation.wait = loop.time() < until and not self.is_left
                outcome, found = await money.reserve(reservation)
                if outcome != "budget_reserved" or not reservation.wait:
                    return outcome, found
                await money.room(min(ROOM, max(0.0, until - loop.time())))
        finally:
            line.release()

    async def _carry(self, remaining: str | None) -> None:
        """Send, relay, settle."""
        if self.is_left:
            raise FailedError(
                Settlement(self.plan.id, "released", error_code="client_gone"),
                self._refusal("upstream_unreachable", "The client left."),
            )
        self._is_sending = True
        target = self.plan.targets[0]
        response: Response | None = None
        try:
            target, response = await self._open()
            if self.plan.asked.is_stream:
                await self._stream(target, response, remaining)
            else:
                await self._unary(target, response)
        except UpstreamError as error:
            raise self._broken(target, error) from error
        except asyncio.CancelledError:
            if not self._was_left():
                raise
            await self._abandoned(target)
        finally:
            self._is_sending = False
            if response is not None:
                response.close()

    def _was_left(self) -> bool:
        """Tell whether a cancellation came of the client's leaving, and take it back if so."""
        if self.is_left and self.task is not None:
            self.task.uncancel()
        return self.is_left

    async def _abandoned(self, target: Target) -> None:
        """Settle a call whose client left before its first answer byte could be metered."""
        self._is_sending = False
        carried = self._carried(target, status=None, code="client_gone")
        if not self.is_sent:
            settlement = released(carried)
        elif self.plan.asked.is_stream:
            settlement = bill(carried, Seen())
        else:
            settlement = given_up(carried)
        await self._settle(settlement)

    # -- sending

    async def _open(self) -> tuple[Target, Response]:
        """Return the first good answer of the targets, tried only while provably unbilled."""
        while True:
            self._attempts += 1
            attempt, target = self._attempts, self._target(self._attempts)
            asked: float | None = None
            try:
                response = await self._send(target)
            except UpstreamError as error:
                self.pumps.breakers[target.upstream.row.id].failed(time.monotonic())
                self._note(target, None, error.code)
                if not retry.may_retry(attempt, was_sent=error.was_sent):
                    raise self._broken(target, error) from error
                failure = self._broken(target, error)
            else:
                if response.status < 300:
                    self.pumps.breakers[target.upstream.row.id].succeeded()
                    return target, response
                failure = await self._refused(target, response)
                if not retry.may_retry(attempt, was_sent=True, status=response.status):
                    raise failure
                asked = retry.retry_after(response.headers, at=datetime.now(UTC))  # noqa: TID251  the edge
            await self._pause(attempt, asked, failure)

    async def _pause(self, attempt: int, asked: float | None, failure: FailedError) -> None:
        """Wait before the same upstream is asked again; another one is asked at once."""
        if len(self.plan.targets) > attempt:
            return
        wait = retry.delay(attempt, chance=random.random(), asked=asked)  # noqa: S311  no secret
        if wait is None:
            raise failure
        await asyncio.sleep(wait)

    def _target(self, attempt: int) -> Target:
        """Return the next target whose breaker lets calls pass."""
        targets, now = self.plan.targets, time.monotonic()
        for step in range(len(targets)):
            target = targets[(attempt - 1 + step) % len(targets)]
            if self.pumps.breakers[target.upstream.row.id].allows(now):
                return target
        raise self._broken(targets[0], UpstreamUnreachableError("The upstream keeps failing."))

    async def _send(self, target: Target) -> Response:
        """Send the call to one target and return the head of its answer."""
        plan, upstream = self.plan, target.upstream
        try:
            credential = await self.pumps.credentials.headers(plan.organization_id, upstream)
        except EnvelopeError as error:
            logger.exception("upstream.credential", extra={"upstream": upstream.row.id})
            raise UpstreamUnreachableError("The upstream cannot be reached.") from error
        sending = Sending(
            target.model,
            max_output=plan.max_output,
            max_field=upstream.kind.max_field,
            injects_usage=upstream.kind.injects_usage,
            strip=plan.strip | upstream.kind.strip,
        )
        row = upstream.row
        request = Request(
            origin=upstream.origin,
            path=upstream.prefix + plan.format.upstream_path(plan.asked, sending),
            headers=wire_headers.to_upstream(
                plan.client,
                credential=credential,
                request_id=plan.id,
                is_stream=plan.asked.is_stream,
            ),
            body=plan.format.outgoing(plan.asked, sending),
            deadlines=Deadlines(
                float(row.connect_timeout_s), float(row.idle_timeout_s), float(row.total_timeout_s)
            ),
            on_send=self._on_send,
        )
        if row.kind == "demo":
            return await open_demo(request)
        return await self.pumps.client.open(request)

    def _on_send(self) -> None:
        self.is_sent = True
        self.pumps.money.journal.sent(self.plan.id)

    # -- answers

    async def _unary(self, target: Target, response: Response) -> None:
        """Read a whole answer, settle it, then hand it over."""
        raw = await response.read()
        self._is_sending = False
        seen = self.plan.format.read_answer(raw)
        if seen.is_error and seen.usage is None:
            raise self._unpaid(target, response.status)
        settlement = bill(self._carried(target, status=response.status), seen)
        detail = await self._settle(settlement)
        costs = self._costs(settlement)
        body = self.plan.format.enrich(raw, costs) if self.plan.is_enriched else raw
        headers = wire_headers.to_client(response.headers, is_stream=False)
        headers = answer.priced(
            headers,
            costs,
            remaining=self._shown(detail.get("remaining")),
            is_estimated=settlement.is_estimated,
        )
        self._answer(Reply(response.status, headers, body))

    async def _stream(self, target: Target, response: Response, remaining: str | None) -> None:
        """Relay a stream while metering it; its last bytes wait for the settle."""
        plan = self.plan
        headers = wire_headers.to_client(response.headers, is_stream=True)
        costs = Costs(None, plan.center, plan.id)
        headers = answer.priced(
            headers, costs, remaining=self._shown(remaining), is_estimated=False
        )
        self._answer(Reply(response.status, headers, parts=self.relay))
        meter = plan.format.meter(plan.asked)
        code = await self._relayed(response, meter)
        self._is_sending = False
        seen = meter.seen
        if seen.is_error and seen.usage is None and not seen.events:
            settlement = self._unpaid(target, response.status).settlement
        else:
            more = 0 if meter.is_complete or code == "" else self._one_second(seen)
            settlement = bill(
                self._carried(target, status=response.status, code=code), seen, more_output=more
            )
        await self._settle(settlement)
        if code not in {"", "client_gone"}:
            await self.relay.put(self._error_event(code))
        await self.relay.put(meter.tail(self._costs(settlement) if plan.is_enriched else None))

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

    def _broken(self, target: Target, error: UpstreamError) -> FailedError:
        """13: never sent, released. 15, 16: broken after sending, uncertain at the full hold."""
        carried = self._carried(target, status=None, code=error.code)
        settlement = given_up(carried) if error.was_sent else released(carried)
        return FailedError(settlement, self._refusal(error.code, _TEXTS[error.code]))

    async def _refused(self, target: Target, response: Response) -> FailedError:
        """14: a complete error answer; what may be shown of it is shown."""
        try:
            raw = await response.read(ERROR_BODY)
        except UpstreamBrokenError:
            raw = b""
        finally:
            response.close()
        self._note(target, response.status, "upstream_error")
        failure = self._unpaid(target, response.status)
        if response.status in PASSED and raw.lstrip()[:1] == b"{":
            headers = wire_headers.to_client(response.headers, is_stream=False)
            headers.append((b"x-request-id", self.plan.id.encode()))
            failure.reply = Reply(response.status, headers, raw)
        return failure

    def _unpaid(self, target: Target, status: int) -> FailedError:
        """Return what an error answer without usage costs: nothing, or nobody knows."""
        carried = self._carried(target, status=status, code="upstream_error")
        is_free = retry.is_unbilled(status) or target.upstream.row.is_error_unbilled
        settlement = released(carried) if is_free else given_up(carried)
        return FailedError(settlement, self._refusal("upstream_error", _TEXTS["upstream_error"]))

    # -- small things

    async def _settle(self, settlement: Settlement) -> Mapping[str, Any]:
        self.is_open = False
        return await self.pumps.money.settle(settlement)

    def _carried(self, target: Target, *, status: int | None, code: str = "") -> Carried:
        plan, now = self.plan, time.monotonic()
        first = now if self._first_byte is None else self._first_byte
        bounded = plan.bounded
        return Carried(
            call=plan.id,
            at_ms=plan.ms,
            hold=plan.hold,
            target=target,
            price=target.price_at(plan.ms),
            input_bound=bounded.input_tokens,
            output_bound=None if bounded.unbounded else bounded.output_tokens,
            hides_output=self._hides(target),
            columns={
                "attempts": self._attempts,
                "http_status": status,
                "error_code": code,
                "first_byte_ms": int((first - self._began) * 1000),
                "total_ms": int((now - self._began) * 1000),
            },
        )

    def _hides(self, target: Target) -> bool:
        return self.plan.format.hides_reasoning(self.plan.asked, target.model)

    def _costs(self, settlement: Settlement) -> Costs:
        return Costs(settlement.cost, self.plan.center, self.plan.id)

    def _shown(self, remaining: str | None) -> str | None:
        if remaining is None or self.plan.is_amount_hidden:
            return None
        return amounts.text(Decimal(remaining))

    def _refusal(self, code: str, message: str) -> Reply:
        return answer.refused(self.plan.format.DIALECT, self.plan.id, RefusedError(code, message))

    def _error_event(self, code: str) -> bytes:
        shown = code if code in _TEXTS else "upstream_error"
        body = errors.body(self.plan.format.DIALECT, shown, _TEXTS[shown], request_id=self.plan.id)
        return b"data: " + body + b"\n\n"

    def _answer(self, reply: Reply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)

    def _note(self, target: Target, status: int | None, code: str) -> None:
        """Note a try that failed."""
        self._failed.append(
            {
                "organization_id": self.plan.organization_id,
                "usage_id": self.plan.id,
                "n": self._attempts,
                "upstream_id": target.upstream.row.id,
                "sent_ms": self.pumps.lookup.clock.now_ms(),
                "status": status,
                "error_code": code,
            }
        )


_TEXTS = {
    "upstream_error": "The upstream failed after the call was sent; it may have been billed.",
    "upstream_timeout": "The upstream did not answer in time; the call may have been billed.",
    "upstream_unreachable": "The upstream cannot be reached; nothing was sent.",
}


class Pumps:
    """The calls under way, strongly held, and what they share."""

    def __init__(
        self, money: Money, lookup: Lookup, client: Client, credentials: Credentials
    ) -> None:
        """Start without calls."""
        self.money, self.lookup, self.client, self.credentials = money, lookup, client, credentials
        self.breakers = Breakers()
        self.lines: dict[str, asyncio.Lock] = {}  # who waits for room in a budget, first come first
        self.drains = 0
        self._open: set[Pump] = set()
        self._notes: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

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
        left = list(self._open)
        for pump in left:
            pump.leave(at_once=True)
        if left:
            await asyncio.wait([pump.task for pump in left if pump.task], timeout=3)

    def note(self, failed: list[dict[str, Any]]) -> None:
        """Write failed tries behind the call."""
        task = asyncio.get_running_loop().create_task(self._noted(failed))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _noted(self, failed: list[dict[str, Any]]) -> None:
        try:
            await self.lookup.attempts(failed)
        except LedgerUnavailableError:
            logger.warning("attempts.lost", extra={"call": failed[0]["usage_id"]})

    def _ended(self, pump: Pump, task: "asyncio.Task[None]") -> None:
        self._open.discard(pump)
        if not task.cancelled() and (error := task.exception()):
            logger.error("pump.failed", extra={"call": pump.plan.id}, exc_info=error)
            if pump.is_open:
                self.money.give_up(pump.plan.id, is_sent=pump.is_sent)


def _wake(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)
