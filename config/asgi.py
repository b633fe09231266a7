"""One ASGI application per process: its role says whether Django, the gateway or both answer."""

import base64
import os
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from django.core.asgi import get_asgi_application  # noqa: E402 -- the settings come first

from gateway.live import stream  # noqa: E402 -- the settings come first
from gateway.live.stream import Live  # noqa: E402 -- the settings come first
from gateway.proxy.asgi import Config, Proxy  # noqa: E402 -- the settings come first

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PROVIDER = ("/v1/", "/v1beta/")
# Key-authenticated, but ordinary web code.
REPORTS = ("/v1/usage", "/v1/analytics/", "/v1/stream/")
BODY = 10 << 20
TOO_LARGE = (
    b'{"error":{"code":"body_too_large","message":"The body is larger than %d bytes."}}' % BODY
)
OWN = frozenset({"/health", "/health/ready", "/metrics"})


class Server:
    """Dispatches by path, starts and stops gateway and live stream with the process."""

    def __init__(
        self,
        role: str,
        web: Application | None,
        proxy: Proxy | None,
        live: Live | None = None,
    ) -> None:
        """Take the applications that this role has; None for the one it lacks."""
        self.role, self.web, self.proxy, self.live = role, web, proxy, live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the one who answers it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self.live is not None and (scope["type"] == "websocket" or scope["path"] == stream.PATH):
            await self.live(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})  # before its handshake: answered 403
        elif self.proxy is not None and (self.web is None or _is_gateway(scope["path"])):
            await self.proxy(scope, receive, send)
        elif self.web is not None:
            await _bounded(self.web, scope, receive, send)

    def close_streams(self) -> None:
        """End the live streams: the server waits for open answers before it stops."""
        if self.live is not None:
            self.live.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        parts = [part for part in (self.proxy, self.live) if part is not None]
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                for part in parts:
                    await part.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                for part in reversed(parts):
                    await part.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def configured() -> Config:
    """Return the gateway's configuration from the settings."""
    try:
        release = version("tollkeeper")
    except PackageNotFoundError:
        release = "0"  # run from its source tree
    return Config(
        dsn=settings.GATEWAY_DATABASE_URL,
        journal=settings.TOLLKEEPER_JOURNAL_DIR,
        role=settings.TOLLKEEPER_ROLE,
        version=release,
        peppers=settings.TOLLKEEPER_KEY_PEPPER,
        wrap_key=settings.TOLLKEEPER_WRAP_KEY,
        fingerprint_secret=base64.b64decode(settings.TOLLKEEPER_FINGERPRINT_SECRET),
        egress=tuple(settings.TOLLKEEPER_EGRESS_ALLOW),
        drain_s=float(settings.TOLLKEEPER_DRAIN_S),
        redis_url=settings.REDIS_URL,
        asks_per_minute=settings.TOLLKEEPER_API_REQUESTS_PER_MINUTE or None,
    )


def build(role: str) -> Server:
    """Return the application of a role: web, gateway or all."""
    web = cast("Application", get_asgi_application()) if role in {"web", "all"} else None
    proxy = Proxy(configured()) if role in {"gateway", "all"} else None
    live = Live(settings.REDIS_URL) if web is not None else None
    return Server(role, web, proxy, live)


class _Bounded:
    """Hands on what arrives, up to the most that a body may have; then the client counts as gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self.size = receive, 0

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self.size += len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.size > BODY else message


async def _bounded(web: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Let Django answer a request whose body is no larger than ten megabytes.

    It would write the whole body to disk before anybody looks at the key.
    """
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    bounded = _Bounded(receive)
    if len(announced) < 9 and int(announced or b"0") <= BODY:
        await web(scope, bounded, send)
        if bounded.size <= BODY:
            return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(TOO_LARGE))]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": TOO_LARGE})


def _is_gateway(path: str) -> bool:
    return path in OWN or (path.startswith(PROVIDER) and not path.startswith(REPORTS))


application = build(settings.TOLLKEEPER_ROLE)
