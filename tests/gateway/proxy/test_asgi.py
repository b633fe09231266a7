"""The door: heads, bodies, methods and paths that are refused before anybody works on them."""

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest

from gateway.proxy import body, http
from gateway.proxy.asgi import Proxy
from tests.fakes.provider import Provider
from tests.gateway.conftest import Start
from tests.gateway.running import Client, House, asked

PATH = "/v1/chat/completions"


async def raw(client: Client, data: bytes, *, seconds: float = 5) -> bytes:
    """Send bytes as they are and read until the server closes."""
    port = int(client.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def head(client: Client, *lines: str, path: str = PATH) -> bytes:
    """Return the head of a request that closes its connection."""
    fixed = (f"POST {path} HTTP/1.1", "Host: x", "Connection: close")
    key = f"Authorization: Bearer {client.house.token}"
    return "\r\n".join([*fixed, key, *lines, "", ""]).encode()


def code(answer: bytes) -> str:
    """Return the code of a refusal."""
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


async def test_a_path_that_is_not_governed_is_not_proxied(office: Client) -> None:
    openai = await office.http.post("/v1/files", json={})
    anthropic = await office.http.post("/v1/messages/batches", json={})
    gemini = await office.http.post("/v1beta/models/x:predict", json={})
    newer = await office.http.post("/v1/models/x:predict", json={})

    assert (openai.status_code, openai.json()["error"]["code"]) == (404, "not_found")
    assert anthropic.json()["type"] == "error"
    assert gemini.json()["error"]["status"] == newer.json()["error"]["status"] == "NOT_FOUND"


async def test_another_method_is_refused(office: Client) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = await office.http.request(method, PATH)
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_without_a_key_the_body_is_not_read(office: Client) -> None:
    head_only = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n"
    port = int(office.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head_only.encode())
    line = await asyncio.wait_for(reader.readline(), 5)
    writer.transport.abort()
    await asyncio.sleep(0)

    assert b" 401 " in line


async def test_a_compressed_body_is_refused(office: Client) -> None:
    body = gzip.compress(json.dumps(asked("hi")).encode())

    answer = await office.http.post(PATH, content=body, headers={"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")


async def test_a_large_body_is_refused_by_its_length_and_by_its_bytes(office: Client) -> None:
    announced = await raw(office, head(office, f"Content-Length: {body.BODY + 1}"))

    async def parts() -> Any:
        for _ in range(body.BODY // 65536 + 2):
            yield b" " * 65536

    streamed = await office.http.post(PATH, content=parts())

    assert code(announced) == "body_too_large"
    assert (streamed.status_code, streamed.json()["error"]["code"]) == (413, "body_too_large")


async def test_a_body_that_drips_is_refused(office: Client) -> None:
    answer = await raw(office, head(office, "Content-Length: 100") + b"{")

    assert code(answer) == "body_timeout"


async def test_a_head_that_never_ends_is_closed(
    office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.3)

    assert await raw(office, b"POST / HTTP/1.1\r\nHost: x\r\n") == b""
    assert await raw(office, b"") == b""


async def test_a_head_that_is_too_large_is_closed(office: Client) -> None:
    lines = [f"X-{number}: {'a' * 1000}" for number in range(90)]

    answer = await raw(office, head(office, *lines)[:-2])

    assert answer == b""


async def test_a_header_that_may_stand_once_is_refused_twice(office: Client) -> None:
    body = json.dumps(asked("hi")).encode()
    lines = ("X-Cost-Center: A", "X-Cost-Center: B", f"Content-Length: {len(body)}")

    assert code(await raw(office, head(office, *lines) + body)) == "invalid_request"


async def test_a_header_with_an_underscore_is_not_heard(office: Client) -> None:
    answer = await office.chat(headers={"X_Cost_Center": "NOWHERE"})

    assert answer.status_code == 200


async def test_nothing_of_the_client_but_its_call_reaches_the_provider(
    house: House, start: Start
) -> None:
    seen: list[dict[bytes, bytes]] = []
    ordinary = Provider.__call__

    async def noting(self: Provider, scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"]))
        await ordinary(self, scope, receive, send)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Provider, "__call__", noting)
        async with start(house) as (client, _, _):
            headers = {"Cookie": "session=1", "X-Forwarded-For": "1.2.3.4", "X-Feature": "f"}
            answer = await client.chat(headers=headers)

    [found] = seen
    assert found[b"x-request-id"].decode() == answer.headers["x-request-id"]
    assert not {b"cookie", b"x-forwarded-for", b"x-feature", b"authorization"} & set(found)


async def test_every_answer_is_safe_to_keep_nowhere(office: Client) -> None:
    for answer in (await office.chat(), await office.chat(model="none")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        assert answer.headers["x-request-id"]


async def test_a_gateway_says_whether_it_lives_and_is_ready(office: Client) -> None:
    await office.chat()

    health = await office.http.get("/health")
    ready = await office.http.get("/health/ready")
    metrics = await office.http.get("/metrics")

    assert health.json() == {"status": "ok"}
    body = ready.json()
    assert body["checks"]["database"]
    assert body["checks"]["partitions"]
    assert body["checks"]["not_draining"]
    assert body["commit_ms"] is not None
    assert ready.status_code == (503 if body["off"] else 200)  # test servers may run without fsync
    assert 'tollkeeper_answers_total{status="200"}' in metrics.text


async def test_a_stopping_gateway_finishes_its_calls_and_takes_no_new_ones(
    house: House, start: Start
) -> None:
    async with start(house) as (client, proxy, _):
        running = asyncio.create_task(client.chat("hi @slow=0.6"))
        await asyncio.sleep(0.3)
        stopping = asyncio.create_task(proxy.stop())
        await asyncio.sleep(0.1)
        late = await client.chat()
        answer = await running
        await stopping
        calls = await client.calls()
        left = list(proxy.config.journal.iterdir())
        _disarm(proxy)

    assert (answer.status_code, late.status_code) == (200, 503)
    assert [call["state"] for call in calls] == ["settled"]
    assert left == []  # the journal of an orderly end is empty, so it is gone


def _disarm(proxy: Proxy) -> None:
    """Let the fixture stop a gateway that stopped already."""

    async def nothing() -> None:
        return

    proxy.stop = nothing  # type: ignore[method-assign] # it was stopped by the test itself


async def test_malformed_keys_are_refused_without_a_question(office: Client) -> None:
    async with httpx.AsyncClient(base_url=office.url) as http:
        for key in ("x" * 10_000, "tk_live_", '"; DROP TABLE', "tk_live_" + "0" * 71):
            answer = await http.post(
                PATH, json=asked("hi"), headers={"Authorization": f"Bearer {key}"}
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
