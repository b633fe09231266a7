"""Tries the targets of a call in order, again only what is provably unbilled."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.proxy.protocols.wire import Asked, Format, Sending
from gateway.proxy.upstream import headers as wire_headers
from gateway.proxy.upstream import retry
from gateway.proxy.upstream.breaker import Breakers
from gateway.proxy.upstream.client import Client, Headers, Request, Response
from gateway.proxy.upstream.connection import (
    Deadlines,
    UpstreamBrokenError,
    UpstreamError,
    UpstreamUnreachableError,
)
from gateway.proxy.upstream.demo.answers import open_demo
from gateway.routes.targets import Target, Upstream
from gateway.upstreams.envelope import EnvelopeError

logger = logging.getLogger(__name__)

ERROR_BODY = 64 * 1024


class ErrorAnswerError(Exception):
    """A complete error answer of the last target that was tried."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        """Keep the answer; its body is empty when it was too large."""
        super().__init__(f"status {status}")
        self.status, self.headers, self.body = status, headers, body


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
    failed: list[dict[str, Any]] = field(default_factory=list)

    async def open(self) -> Response:
        """Return the first good answer; raise UpstreamError or ErrorAnswerError without one."""
        while True:
            self.attempts += 1
            self.target = self._next()
            breaker = self.courier.breakers[self.target.upstream.row.id]
            try:
                response = await self._send(self.target)
            except UpstreamError as error:
                breaker.failed(time.monotonic())
                self._note(None, error.code)
                if not retry.may_retry(self.attempts, was_sent=error.was_sent):
                    raise
                await self._pause(None, error)
                continue
            if response.status < 500:
                breaker.succeeded()
            else:
                breaker.failed(time.monotonic())
            if response.status < 300:
                return response
            failure = await self._refused(response)
            if not retry.may_retry(self.attempts, was_sent=True, status=failure.status):
                raise failure
            now = datetime.now(UTC)  # noqa: TID251  the edge
            await self._pause(retry.retry_after(failure.headers, at=now), failure)

    def _next(self) -> Target:
        """Return the next target whose breaker lets calls pass."""
        now, count = time.monotonic(), len(self.targets)
        for step in range(count):
            target = self.targets[(self.attempts - 1 + step) % count]
            if self.courier.breakers[target.upstream.row.id].allows(now):
                return target
        raise UpstreamUnreachableError("The upstream keeps failing.")

    async def _pause(self, asked: float | None, failure: Exception) -> None:
        """Wait before the same upstream is asked again; another one is asked at once."""
        if len(self.targets) > self.attempts:
            return
        wait = retry.delay(self.attempts, chance=random.random(), asked=asked)  # noqa: S311  no secret
        if wait is None:
            raise failure
        await asyncio.sleep(wait)

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
        row = upstream.row
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
            deadlines=Deadlines(
                float(row.connect_timeout_s), float(row.idle_timeout_s), float(row.total_timeout_s)
            ),
            on_send=self.on_send,
        )
        return await (
            open_demo(request) if row.kind == "demo" else self.courier.client.open(request)
        )

    async def _refused(self, response: Response) -> ErrorAnswerError:
        """Read a complete error answer."""
        try:
            body = await response.read(ERROR_BODY)
        except UpstreamBrokenError:
            body = b""
        finally:
            response.close()
        self._note(response.status, "upstream_error")
        return ErrorAnswerError(response.status, response.headers, body)

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
            }
        )
