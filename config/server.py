"""One server process: uvicorn over `config.asgi`, on a socket of its own or one that the supervisor bound."""

import contextlib
import os
import socket
import sys
from collections.abc import Coroutine
from typing import Any

import django
import uvicorn
from django.conf import settings
from uvicorn.config import STARTUP_FAILURE

LONGEST = 16 * 1024  # bytes of a message that a reader of the live stream sends
HEADER_DEADLINE_PROTOCOL = "gateway.proxy.http:HttpProtocol"


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM, then drain. `--fd N` names an inherited listening socket."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("TOLLKEEPER_DATABASE_POOL", "10")
    django.setup()
    where = {"fd": int(arguments[1])} if arguments[:1] == ["--fd"] else _own_address()
    configured = uvicorn.Config(
        "config.asgi:application",
        **where,
        loop="uvloop",
        http=HEADER_DEADLINE_PROTOCOL,
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=None,
        limit_concurrency=settings.TOLLKEEPER_CONCURRENCY,
        proxy_headers=bool(settings.TOLLKEEPER_TRUSTED_PROXIES),
        forwarded_allow_ips=settings.TOLLKEEPER_TRUSTED_PROXIES,
        timeout_graceful_shutdown=settings.TOLLKEEPER_DRAIN_S,
        ws="websockets-sansio",
        ws_max_size=LONGEST,
        ws_per_message_deflate=False,
    )
    server = Server(configured)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class Server(uvicorn.Server):
    """uvicorn's server; when it stops it ends the live streams first, which it would wait for."""

    def shutdown(self, sockets: list[socket.socket] | None = None) -> Coroutine[Any, Any, None]:
        """Stop in order."""
        from config.asgi import application  # noqa: PLC0415 -- loaded after the settings

        application.close_streams()
        return super().shutdown(sockets)


def _own_address() -> dict[str, str | int]:
    return {"host": settings.TOLLKEEPER_BIND, "port": settings.PORT}


if __name__ == "__main__":
    main(sys.argv[1:])
