"""Which application answers which path, by role."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from django.core.asgi import get_asgi_application

from config import asgi
from tests.gateway.running import free_port, served


class Named:
    """Stands for an application: says who was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lives: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"by": self.name})

    async def start(self) -> None:
        self.lives.append("started")

    async def stop(self) -> None:
        self.lives.append("stopped")


async def answered(server: asgi.Server, path: str, kind: str = "http") -> str:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    await server({"type": kind, "path": path, "headers": []}, receive, send)
    return str(sent[0]["by"])


@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("/", "web"),
        ("/admin/", "web"),
        ("/v1/chat/completions", "gateway"),
        ("/v1/models", "gateway"),
        ("/v1/anything", "gateway"),
        ("/v1beta/models/x:generateContent", "gateway"),
        ("/v1/usage", "web"),
        ("/v1/analytics/costs", "web"),
        ("/costs/summary", "web"),
        ("/health", "gateway"),
        ("/health/ready", "gateway"),
        ("/metrics", "gateway"),
    ],
)
async def test_one_server_of_both_roles_dispatches_by_path(path: str, by: str) -> None:
    server = asgi.Server("all", Named("web"), Named("gateway"))  # type: ignore[arg-type] # a stand-in

    assert await answered(server, path) == by


async def test_the_live_stream_answers_sockets_and_its_path() -> None:
    server = asgi.Server("all", Named("web"), Named("gateway"), Named("live"))  # type: ignore[arg-type] # a stand-in

    assert await answered(server, "/v1/stream/costs") == "live"
    assert await answered(server, "/v1/stream/costs", kind="websocket") == "live"
    assert await answered(server, "/v1/stream/other") == "web"


async def test_a_role_without_the_stream_refuses_sockets() -> None:
    server = asgi.Server("gateway", None, Named("gateway"))  # type: ignore[arg-type] # a stand-in
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await server({"type": "websocket", "path": "/v1/stream/costs"}, receive, send)

    assert sent == [{"type": "websocket.close"}]


async def test_a_role_answers_alone() -> None:
    web = asgi.Server("web", Named("web"), None)
    gateway = asgi.Server("gateway", None, Named("gateway"))  # type: ignore[arg-type] # a stand-in

    for path in ("/", "/v1/chat/completions", "/health"):
        assert await answered(web, path) == "web"
        assert await answered(gateway, path) == "gateway"


async def test_the_gateway_lives_with_its_process() -> None:
    proxy = Named("gateway")
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await asgi.Server("gateway", None, proxy)({"type": "lifespan"}, receive, send)  # type: ignore[arg-type] # a stand-in

    assert proxy.lives == ["started", "stopped"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("role", ["web", "gateway", "all"])
def test_every_role_is_built_from_the_settings(role: str) -> None:
    server = asgi.build(role)

    assert (server.web is None) == (role == "gateway")
    assert (server.proxy is None) == (role == "web")
    assert (server.live is None) == (role == "gateway")


async def test_django_never_sees_more_of_a_body_than_ten_megabytes() -> None:
    server: Any = asgi.Server("web", get_asgi_application(), None)  # type: ignore[arg-type]  # asgiref's types

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(asgi.BODY // 65536 + 2):
            yield b" " * 65536

    async with served(server, free_port()) as url, httpx.AsyncClient(base_url=url) as http:
        streamed = await http.post("/v1/usage", content=parts())
        announced = await http.post("/v1/usage", content=b" " * (asgi.BODY + 1))
        ordinary = await http.post("/v1/usage", content=b"{}")

    assert [one.status_code for one in (streamed, announced, ordinary)] == [413, 413, 401]
    assert streamed.json()["error"]["code"] == "body_too_large"
