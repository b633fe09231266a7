"""`Idempotency-Key` in every wire format: one call per key, whatever its bytes are."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, Client, House, aside, make_house

MESSAGES = [{"role": "user", "content": "hi"}]
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]
GEMINI = f"/v1beta/models/{MODEL}"
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"model": MODEL, "messages": MESSAGES, "max_tokens": 3}),
    ("/v1/completions", {"model": MODEL, "prompt": "hi", "max_tokens": 3}),
    ("/v1/responses", {"model": MODEL, "input": "hi", "max_output_tokens": 16}),
    ("/v1/embeddings", {"model": MODEL, "input": "hi"}),
    ("/v1/messages", {"model": MODEL, "messages": MESSAGES, "max_tokens": 3}),
    (f"{GEMINI}:generateContent", {"contents": CONTENTS}),
    (f"{GEMINI}:streamGenerateContent", {"contents": CONTENTS}),
    (f"{GEMINI}:embedContent", {"content": CONTENTS[0]}),
]
HEADER = "Idempotency-Key"


def code(answer: httpx.Response) -> str:
    """Return the code of a refusal, whatever its dialect."""
    error = answer.json()["error"]
    return str(error["reason"] if isinstance(error["code"], int) else error["code"])


async def test_a_key_carries_one_call_in_every_format(committed: None, start: Start) -> None:
    house: House = await aside(make_house, kind="demo", base_url="")

    async with start(house) as (client, _, _):
        for number, (path, body) in enumerate(CALLS):
            key = {HEADER: f"key {number}"}
            first = await client.http.post(path, json=body, headers=key)
            again = await client.http.post(path, json=body, headers=key)
            other = await client.http.post(path, json={**body, "seed": 1}, headers=key)

            assert first.status_code == 200, (path, first.text)
            assert (again.status_code, code(again)) == (409, "already_settled"), path
            assert again.json()["error"]["call_id"] == first.headers["x-request-id"]
            assert (other.status_code, code(other)) == (422, "idempotency_mismatch"), path
        calls = await client.calls()

    assert len(calls) == len(CALLS)


async def test_a_repeat_meets_the_call_while_it_is_running(office: Client) -> None:
    key = {HEADER: "slow"}
    running = asyncio.create_task(office.chat("hi @slow=0.8", headers=key))
    await asyncio.sleep(0.3)

    meanwhile = await office.chat("hi @slow=0.8", headers=key)
    first = await running

    assert (meanwhile.status_code, code(meanwhile)) == (409, "request_in_progress")
    assert meanwhile.headers["retry-after"]
    assert first.status_code == 200
    assert len(await office.calls()) == 1


async def test_one_of_many_at_once_is_carried(office: Client) -> None:
    key = {HEADER: "crowd"}

    answers = await asyncio.gather(*(office.chat("hi", headers=key) for _ in range(8)))

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [409] * 7
    assert len(await office.calls()) == 1


@pytest.mark.parametrize(
    "key",
    [b"a" * 255, "clé-ключ-鍵".encode(), bytes(range(0xA0, 0x100)), b"a b\tc", b'"; DROP TABLE'],
    ids=["255 bytes", "utf-8", "latin-1", "blanks", "sql"],
)
async def test_any_bytes_of_a_header_are_a_key(office: Client, key: bytes) -> None:
    first = await office.chat("hi", headers={HEADER: key})  # type: ignore[dict-item]  # httpx takes bytes
    again = await office.chat("hi", headers={HEADER: key})  # type: ignore[dict-item]  # httpx takes bytes

    assert first.status_code == 200, first.text
    assert (again.status_code, code(again)) == (409, "already_settled")


@pytest.mark.parametrize("key", ["", "a" * 256, "é" * 128], ids=["none", "256", "256 in utf-8"])
async def test_an_empty_or_endless_key_is_refused(office: Client, key: str) -> None:
    answer = await office.chat("hi", headers={HEADER: key.encode()})  # type: ignore[dict-item]  # httpx takes bytes

    assert (answer.status_code, code(answer)) == (400, "invalid_request")
    assert answer.json()["error"]["param"] == HEADER
    assert await office.calls() == []


async def test_keys_of_two_organizations_are_strangers(committed: None, start: Start) -> None:
    ours, theirs = await aside(make_house), await aside(make_house)
    key = {HEADER: "the same"}

    async with start(ours) as (our_client, _, _):
        mine = await our_client.chat("hi", headers=key)
    async with start(theirs) as (their_client, _, _):
        yours = await their_client.chat("hi", headers=key)

    assert (mine.status_code, yours.status_code) == (200, 200)


async def test_a_refused_call_leaves_its_key_free(office: Client) -> None:
    key = {HEADER: "free"}
    refused = await office.chat("hi", headers=key, model="nothing")

    answer = await office.chat("hi", headers=key)

    assert refused.status_code == 404
    assert answer.status_code == 200
