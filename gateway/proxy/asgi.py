"""The door: pure ASGI in front of the views, with limits on heads, bodies, silence and stalls."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, URLResolver
from django.urls.resolvers import RegexPattern

from attribution.outbound.addresses import Exceptions
from gateway.keys.tokens import Peppers
from gateway.live.broadcast import Broadcast
from gateway.proxy import answer, call, delivery, metrics
from gateway.proxy.answer import RefusedError, Reply
from gateway.proxy.body import read_body
from gateway.proxy.bridge.chores import Chores
from gateway.proxy.bridge.credentials import Credentials
from gateway.proxy.bridge.lookup import Lookup, ReadyRow
from gateway.proxy.bridge.money import Money
from gateway.proxy.bridge.notices import AGAIN, Notices
from gateway.proxy.bridge.pool import LedgerUnavailableError, Pool, QuestionError
from gateway.proxy.caller import NOTED, Caller, Callers
from gateway.proxy.fleet import Pumps
from gateway.proxy.http import ABORT, GONE, WHOLE
from gateway.proxy.incoming import Gateway, Incoming
from gateway.proxy.probes import EVERY, Probes
from gateway.proxy.pump import Pump
from gateway.proxy.rate_limits.limits import RateLimits
from gateway.proxy.switch import Switch
from gateway.proxy.upstream.client import Client
from gateway.proxy.upstream.headers import JSON, SAFE, RepeatedHeaderError, single
from gateway.proxy.upstream.sending import Courier
from gateway.upstreams import envelope
from gateway.workers.readiness import Facts, verdict

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

WARM = 300  # calls after which what is there now is kept out of garbage collection
YOUNG = 5000  # new objects between collections: those of calls under way are looked at less often
CREDENTIALS = (b"authorization", b"x-api-key", b"x-goog-api-key")


@dataclass(frozen=True, slots=True)
class Config:
    """What a gateway process needs to know."""

    dsn: str
    journal: Path
    role: str
    version: str
    peppers: str
    wrap_key: str
    fingerprint_secret: bytes
    egress: tuple[str, ...] = ()
    drain_s: float = 60.0
    asks_per_minute: int | None = None  # of a key, at the addresses that carry no call
    redis_url: str = ""  # without one nobody is told of settled calls, and limits are counted here


class LeanRequest(HttpRequest):
    """A request without body, files, cookies or middleware: the door read and checked it already."""

    def __init__(self, gateway: Gateway, incoming: Incoming, *, method: str, path: str) -> None:
        """Skip what Django prepares for pages."""
        self.gateway, self.incoming = gateway, incoming
        self.method, self.path, self.path_info = method, path, path
        self.META = {}
        self._pump: Pump | None = None
        self._is_left = False

    @property
    def pump(self) -> Pump | None:
        """Return what carries the call, once it is decided."""
        return self._pump

    @pump.setter
    def pump(self, pump: Pump) -> None:
        self._pump = pump
        if self._is_left:
            pump.leave()

    def leave(self) -> None:
        """Learn that the client is gone, be the call decided or not."""
        self._is_left = True
        if self._pump is not None:
            self._pump.leave()


class Proxy:
    """The ASGI application of the provider paths and of what a gateway says about itself."""

    def __init__(self, config: Config) -> None:
        """Prepare; `start` connects."""
        self.config = config
        self._resolver = URLResolver(RegexPattern(r"^/"), "gateway.proxy.urls")
        self._matches: dict[str, ResolverMatch] = {}
        self._calls = 0

    # -- life

    async def start(self) -> None:
        """Connect, replay what dead processes left, begin to beat and to sweep."""
        config = self.config
        private = envelope.private_key(config.wrap_key) if config.wrap_key else None
        self.pool = Pool(config.dsn)
        await self.pool.open()
        self.lookup = Lookup(self.pool)
        self.chores = Chores(
            self.lookup, folder=config.journal, role=config.role, version=config.version
        )
        self.money = Money(config.dsn, self.chores.journal, self.chores.worker)
        self.money.start()
        exceptions = Exceptions(config.egress)
        self.client = Client(exceptions=exceptions)
        courier = Courier(self.client, Credentials(self.lookup, private).headers)
        self.limits = RateLimits(config.redis_url)
        self.pumps = Pumps(self.money, self.lookup, courier, self.limits)
        callers = Callers(self.lookup, Peppers.from_setting(config.peppers))
        if config.redis_url:
            self.pumps.live = Broadcast(config.redis_url)
            await self.pumps.live.start()
            await self.limits.start()
        secret, asks = config.fingerprint_secret, config.asks_per_minute
        self.gateway = Gateway(callers, self.pumps, self.limits, secret, asks)
        await self.chores.start()
        self.chores.add(NOTED, callers.note_used)
        probes = Probes(self.pool, courier, private=private, exceptions=exceptions)
        self.chores.add(EVERY, probes.work)
        switch = Switch(callers, self.pumps)
        self.chores.add(AGAIN, Notices(config.dsn, switch.changed).listen)

    async def stop(self) -> None:
        """Stop taking calls, let those under way finish, settle everything."""
        await self.chores.drain()
        await self.pumps.stop(within=self.config.drain_s)
        await self.money.stop(within=5.0)
        await self.limits.stop()
        if self.pumps.live is not None:
            await self.pumps.live.stop()
        self.client.close()
        await self.chores.stop()
        await self.pool.close()

    # -- requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        path = scope["path"]
        if path in {"/health", "/health/ready", "/metrics"}:
            await delivery.write(await self._about(path), send)
            return
        clock = self.lookup.clock
        ms = clock.now_ms()
        request_id = call.mint(ms)
        try:
            reply, request = await self._answered(scope, receive, request_id, ms)
        except RefusedError as error:
            reply, request = answer.refused(answer.dialect_of(path), request_id, error), None
        pump = request.pump if request else None
        # both know the scope: left there, all would be garbage
        whole, abort = scope.pop(WHOLE, None), scope.pop(ABORT, None)
        metrics.count(reply.status)
        if reply.parts is None:
            if whole is None or not whole(reply):
                await delivery.write(reply, send, abort=abort)
        elif pump is not None:
            await delivery.write_parts(reply, send, leave=pump.leave, abort=abort)

    async def _answered(
        self, scope: Scope, receive: Receive, request_id: str, ms: int
    ) -> tuple[Reply, LeanRequest]:
        """Check head and body, then let the view of the path answer."""
        if self.chores.is_draining:
            raise RefusedError("ledger_unavailable", "This gateway is stopping.")
        match = self._match(scope["path"])
        try:
            headers = single(scope["headers"])
        except RepeatedHeaderError as error:
            raise RefusedError(error.code, str(error)) from error
        token = _token(headers)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RefusedError("unsupported_encoding", "The body may not be compressed.")
        caller = await self._caller(token)  # before the body of somebody unknown is read
        body = await read_body(receive, int(headers.get(b"content-length", b"0") or 0))
        client = scope.get("client")
        ip = client[0] if client else None
        incoming = Incoming(request_id, ms, token, caller, headers, body, ip)
        if match.kwargs:
            incoming.path = _variables(match, scope["query_string"])
        request = LeanRequest(self.gateway, incoming, method=scope["method"], path=scope["path"])
        watch = self._watch(scope, receive, request)
        try:
            reply = await match.func(request, *match.args, **match.kwargs)
        finally:
            if watch is not None and (request.pump is None or request.pump.reply.done()):
                self._unwatch(watch, request)
        self._warm()
        return reply, request

    async def _caller(self, token: str) -> Caller:
        """Return who presents a key; refuse one that nobody knows."""
        try:
            return await self.gateway.callers.of(token)
        except (LedgerUnavailableError, QuestionError) as error:
            raise RefusedError("ledger_unavailable", str(error)) from error

    def _match(self, path: str) -> ResolverMatch:
        """Return the view of a governed path; paths without variables are found once."""
        if path in self._matches:
            return self._matches[path]
        is_short = path.startswith("/v1/models/")  # as newer Google SDKs say
        try:
            match = self._resolver.resolve(f"/v1beta{path[3:]}" if is_short else path)
        except Resolver404 as error:
            raise RefusedError("not_found", "There is no such path.") from error
        return match if match.kwargs else self._matches.setdefault(path, match)

    def _watch(
        self, scope: Scope, receive: Receive, request: LeanRequest
    ) -> "asyncio.Task[None] | None":
        """Learn when the client leaves: from our protocol, or from the server's own message."""

        if GONE in scope:
            scope[GONE] = request.leave
            return None

        async def wait() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            request.leave()

        return asyncio.create_task(wait())

    def _unwatch(self, watch: "asyncio.Task[None]", request: LeanRequest) -> None:
        """Stop watching, at once or with the end of the stream."""
        if request.pump is None or request.pump.task is None or request.pump.task.done():
            watch.cancel()
        else:
            request.pump.task.add_done_callback(lambda _: watch.cancel())

    def _warm(self) -> None:
        """Keep what warm-up made out of later garbage collections: full ones were the p99."""
        self._calls += 1
        if self._calls == WARM:
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG)

    async def _about(self, path: str) -> Reply:
        if path == "/health":
            return Reply(200, [JSON, *SAFE], b'{"status":"ok"}')
        if path == "/metrics":
            pumps, is_away = self.pumps, self.money.is_away
            text = metrics.text(calls_open=len(pumps), ledger_away=is_away, untold=pumps.untold)
            return Reply(200, [(b"content-type", b"text/plain; version=0.0.4"), *SAFE], text)
        try:
            row = await self.lookup.ready()
        except (LedgerUnavailableError, QuestionError):
            row = ReadyRow(off=[], is_ahead=False, is_reachable=False)
        draining, commit_ms = self.chores.is_draining, self.money.commit_ms
        status, body = verdict(Facts(row.is_reachable, row.off, row.is_ahead, draining, commit_ms))
        return Reply(status, [JSON, *SAFE], msgspec.json.encode(body))


def _token(headers: dict[bytes, bytes]) -> str:
    """Return the one key that a request presents."""
    found = set()
    for name in CREDENTIALS:
        value = headers.get(name)
        if value is None:
            continue
        if name == b"authorization":
            scheme, _, value = value.partition(b" ")
            if scheme.lower() != b"bearer":
                continue
        found.add(value.strip())
    if len(found) > 1:
        raise RefusedError("conflicting_credentials", "Two different API keys were presented.")
    if not found:
        message = "No API key: send it as `Authorization: Bearer`, x-api-key or x-goog-api-key."
        raise RefusedError("invalid_api_key", message)
    return found.pop().decode("latin-1")


def _variables(match: ResolverMatch, query: bytes) -> dict[str, str]:
    """Return the variables of a path and how a stream is wished; nothing else of a query counts."""
    return {**match.kwargs, "alt": "sse" if b"alt=sse" in query.split(b"&") else ""}
