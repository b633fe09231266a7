"""One server process: uvicorn over `config.asgi`, on a socket of its own or one that the supervisor bound."""

import os
import sys

import django
import uvicorn
from django.conf import settings

HEADER_DEADLINE_PROTOCOL = "gateway.proxy.http:HttpProtocol"


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM, then drain. `--fd N` names an inherited listening socket."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("TOLLKEEPER_DATABASE_POOL", "10")
    django.setup()
    where = {"fd": int(arguments[1])} if arguments[:1] == ["--fd"] else _own_address()
    uvicorn.run(
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
    )


def _own_address() -> dict[str, str | int]:
    return {"host": settings.TOLLKEEPER_BIND, "port": settings.PORT}


if __name__ == "__main__":
    main(sys.argv[1:])
