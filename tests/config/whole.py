"""The whole app in the test's own loop: web and gateway in one, as the role `all` serves them."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from django.core.asgi import get_asgi_application
from django.db import connections

from config.asgi import Server
from gateway.proxy.asgi import Proxy
from tests.gateway.running import House, config, free_port, served


@contextlib.asynccontextmanager
async def whole_app(house: House, dsn: str) -> AsyncIterator[str]:
    """Serve web and gateway; yield where."""
    database = connections.settings["default"]
    age = database["CONN_MAX_AGE"]
    database["CONN_MAX_AGE"] = 0  # every request has a thread of its own
    try:
        with tempfile.TemporaryDirectory() as folder:
            proxy = Proxy(config(dsn, house, Path(folder)))
            server: Any = Server("all", get_asgi_application(), proxy)  # type: ignore[arg-type]  # asgiref's types
            await proxy.start()
            try:
                async with served(server, free_port()) as url:
                    yield url
            finally:
                await proxy.stop()
    finally:
        database["CONN_MAX_AGE"] = age
