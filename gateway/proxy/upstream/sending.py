"""Tries the targets of a call in order, again only what is provably unbilled."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.proxy.protocols.wire import Asked, Format, Seen, Sending
from gateway.proxy.upstream import headers as wire_headers
from gateway.proxy.upstream import retry
from gateway.proxy.upstream.breaker import Breaker, Breakers
from gateway.proxy.upstream.client import Client, Headers, Request, Response
from gateway.proxy.upstream.connection import (
    Deadlines,
    UpstreamError,
    UpstreamTooLargeError,
    UpstreamUnreachableError,
)
from gateway.proxy.upstream.demo.answers import open_demo
from gateway.routes.targets import Target, Upstream
from gateway.upstreams.envelope import EnvelopeError

logger = logging.getLogger(__name__)

ERROR_BODY = 64 * 1024
SHORTEST = 0.05  # seconds left to the last try of a call


class ErrorAnswerError(Exception):
    """A complete error answer of the last target that was tried."""

    def __init__(self, status: int, headers: Headers, body: bytes, seen: Seen) -> None:
        """Keep the answer and what it says of usage; its body is empty when it was too large."""
        super().__init__(f"status {status}")
        self.status, self.headers, self.body, self.seen = status, headers, body, seen

    @property
    def is_unbilled(self) -> bool:
        """Tell whether the call provably cost nothing and may pass at the next try."""
        return retry.is_unbilled(self.status) and self.seen.usage is None


@dataclass(slots=True)
class Courier:
    """What all calls of a process share on their way out."""

    client: Client
    credential: Callable[[str, Upstream], Awaitable[Headers]]  # of an organization's upstream
    breakers: Breakers = field(default_factory=Breakers)


@dataclass(slots=True)
class Errand:
    """One call on its way: `target` is the place tried last, `failed` the tries that failed."""

    courier: Courier
    call: str
    organization_id: str
    asked: Asked
    format: Format
    targets: list[Target]
    client: dict[bytes, bytes]  # the client's headers
    strip: frozenset[str]
    max_output: int | None
    on_send: Callable[[], None]
    target: Target
    attempts: int = 0
    answer_id: str | None = None  # what the provider calls its answer
    failed: list[dict[str, Any]] = field(default_factory=list)
    is_billable: bool = False  # something was sent that nobody refused: it may be billed
    _began: float = field(default_factory=time.monotonic)
    _tries: dict[int, int] = field(default_factory=dict)  # by target
    _ready: dict[int, float] = field(default_factory=dict)  # when a target may be tried again

    async def open(self) -> Response:
        """Return the first good answer; raise UpstreamError or ErrorAnswerError without one."""
        failure: Exception = UpstreamUnreachableError("The upstream keeps failing.")
        while True:
            self.target = await self._next(failure)
            self.attempts += 1
            self.answer_id = None
            self._tries[id(self.target)] = self._tries.get(id(self.target), 0) + 1
            try:
                return await self._tried()
            except UpstreamError as error:
                self.breaker.failed(time.monotonic())
                self._note(None, error.code)
                failure, is_free, asked = error, not error.was_sent, None
            except ErrorAnswerError as error:
                self._note(error.status, "upstream_error")
                now = datetime.now(UTC)  # noqa: TID251  the edge
                failure, is_free = error, error.is_unbilled
                asked = retry.retry_after(error.headers, at=now)
            self.is_billable = not is_free
            if not retry.may_retry(self.attempts, is_free=is_free, targets=len(self.targets)):
                raise failure
            self._rest(asked)

    @property
    def breaker(self) -> Breaker:
        """Return the breaker of the target's upstream."""
        return self.courier.breakers[self.target.upstream.row.id]

    async def _next(self, failure: Exception) -> Target:
        """Return the target to try: the first that does not rest, else the first ready again.

        Raises `failure` where no breaker lets a call pass, or none is ready within the deadline.
        """
        now, breakers = time.monotonic(), self.courier.breakers
        first = self.targets[0]
        if not self.attempts and breakers[first.upstream.row.id].allows(now):
            return first  # nearly every call's way
        while True:
            now = time.monotonic()
            open_ = [t for t in self.targets if not breakers[t.upstream.row.id].is_open(now)]
            if not open_:
                raise failure
            target = min(open_, key=lambda t: (self._ready_at(t, now), self._tries.get(id(t), 0)))
            wait = self._ready_at(target, now) - now
            if now + wait - self._began >= target.upstream.row.total_timeout_s:
                raise failure
            if wait > 0:
                await asyncio.sleep(wait)
            elif breakers[target.upstream.row.id].allows(now):
                return target

    def _ready_at(self, target: Target, now: float) -> float:
        return max(now, self._ready.get(id(target), now))

    def _rest(self, asked: float | None) -> None:
        """Let the target rest: as long as it asks, else longer after each of its failures."""
        chance, tries = random.random(), self._tries[id(self.target)]  # noqa: S311  no secret
        wait = retry.delay(tries, chance=chance, asked=asked)
        self._ready[id(self.target)] = math.inf if wait is None else time.monotonic() + wait

    async def _tried(self) -> Response:
        """Send the call to the target; raise ErrorAnswerError for an answer that is an error."""
        response = await self._send(self.target)
        self.answer_id = wire_headers.id_of(response.headers)
        if response.status >= 500:
            self.breaker.failed(time.monotonic())
        else:
            self.breaker.succeeded()
        if response.status < 300:
            return response
        raise await self._refused(response)

    def _sends(self) -> None:
        """Note that from now on the provider may bill."""
        self.is_billable = True
        self.on_send()

    def _deadlines(self, target: Target) -> Deadlines:
        """Return the deadlines of one try; the total is of the call, not of each try."""
        row = target.upstream.row
        left = self._began + row.total_timeout_s - time.monotonic()
        return Deadlines(
            float(row.connect_timeout_s), float(row.idle_timeout_s), max(left, SHORTEST)
        )

    async def _send(self, target: Target) -> Response:
        """Send the call to one target and return the head of its answer."""
        upstream, asked = target.upstream, self.asked
        sending = Sending(
            target.model,
            max_output=self.max_output,
            max_field=upstream.kind.max_field,
            injects_usage=upstream.kind.injects_usage,
            strip=self.strip | upstream.kind.strip,
        )
        try:
            credential = await self.courier.credential(self.organization_id, upstream)
        except EnvelopeError as error:
            logger.exception("upstream.credential", extra={"upstream": upstream.row.id})
            raise UpstreamUnreachableError("The upstream cannot be reached.") from error
        request = Request(
            origin=upstream.origin,
            path=upstream.prefix + self.format.upstream_path(asked, sending),
            headers=wire_headers.to_upstream(
                self.client,
                dialect=self.format.DIALECT,
                credential=credential,
                request_id=self.call,
                is_stream=asked.is_stream and not asked.is_array,
            ),
            body=self.format.outgoing(asked, sending),
            deadlines=self._deadlines(target),
            on_send=self._sends,
        )
        return await (
            open_demo(request) if upstream.row.kind == "demo" else self.courier.client.open(request)
        )

    async def _refused(self, response: Response) -> ErrorAnswerError:
        """Read an error answer to its end; one that is cut is none, of a large one the status is."""
        try:
            body = await response.read(ERROR_BODY)
        except UpstreamTooLargeError:
            body = b""
        finally:
            response.close()
        seen = self.format.read_answer(body)
        return ErrorAnswerError(response.status, response.headers, body, seen)

    def _note(self, status: int | None, code: str) -> None:
        """Note a try that failed."""
        self.failed.append(
            {
                "organization_id": self.organization_id,
                "usage_id": self.call,
                "n": self.attempts,
                "upstream_id": self.target.upstream.row.id,
                "sent_ms": int(time.time() * 1000),
                "status": status,
                "error_code": code,
                "provider_request_id": self.answer_id,
            }
        )
