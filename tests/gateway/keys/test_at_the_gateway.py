"""What is decided about a key acts at the next call, through a running gateway."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from gateway.keys import keyring
from gateway.keys.models import ApiKey
from tests.factories import make_budget
from tests.gateway.conftest import Start
from tests.gateway.running import Client, House, asked

HOUR = timedelta(hours=1)


async def call(client: Client, token: str = "") -> int:
    """Return the status of one call."""
    headers = {"Authorization": f"Bearer {token or client.house.token}"}
    answer = await client.http.post("/v1/chat/completions", json=asked("hi"), headers=headers)
    return answer.status_code


async def test_a_revoked_key_is_refused_at_its_next_call(house: House, start: Start) -> None:
    async with start(house) as (client, _, provider):
        assert await call(client) == 200
        await house.make(keyring.revoke, key=house.key, by=SYSTEM, at=timezone.now())

        assert await call(client) == 401
        assert len(provider.books.lines()) == 1


async def test_both_secrets_work_during_the_overlap_and_count_as_one_key(
    house: House, start: Start
) -> None:
    async def rotate(until: datetime) -> str:
        made = await house.make(keyring.rotate, key=house.key, by=SYSTEM, overlap_until=until)
        return str(made[1])

    async with start(house) as (client, _, _):
        assert await call(client) == 200
        second = await rotate(timezone.now() + HOUR)
        assert [await call(client), await call(client, second)] == [200, 200]
        third = await rotate(timezone.now())

        assert [await call(client), await call(client, second), await call(client, third)] == [
            *(401, 200, 200)
        ]
        calls = await client.calls(until=lambda rows: len(rows) == 5)
        assert {row["api_key_id"] for row in calls} == {house.key.pk}


async def test_a_budget_of_a_key_covers_its_successor(house: House, start: Start) -> None:
    await house.make(make_budget, limit="0", scope="api_key", scope_id=house.key.pk)
    made = await house.make(
        keyring.rotate, key=house.key, by=SYSTEM, overlap_until=timezone.now() + HOUR
    )
    async with start(house) as (client, _, provider):
        assert [await call(client), await call(client, made[1])] == [402, 402]
        assert not provider.books.lines()


async def test_an_expired_key_is_refused(house: House, start: Start) -> None:
    def expire(*, at: datetime) -> None:
        key = ApiKey.objects.get(pk=house.key.pk)
        key.expires_at = at
        keyring.change(key, by=SYSTEM, fields=["expires_at"])

    async with start(house) as (client, _, _):
        await house.make(expire, at=timezone.now() + timedelta(seconds=1.5))
        assert await call(client) == 200
        await asyncio.sleep(1.6)

        assert await call(client) == 401


@pytest.mark.parametrize(
    ("taken", "code"),
    [
        ({"allowed_models": ["other-*"]}, "model_not_allowed"),
        ({"scopes": ["ingest"]}, "scope_not_allowed"),
    ],
)
async def test_what_is_taken_away_is_refused_at_the_next_call(
    house: House, start: Start, taken: dict[str, Any], code: str
) -> None:
    def allow(**columns: Any) -> None:
        key = ApiKey.objects.get(pk=house.key.pk)
        for name, value in columns.items():
            setattr(key, name, value)
        keyring.change(key, by=SYSTEM, fields=list(columns))

    async with start(house) as (client, _, provider):
        await house.make(allow, allowed_models=["fake-*"], scopes=["call", "costs"])
        assert await call(client) == 200
        await house.make(allow, **taken)
        refused = await client.chat()

        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == code
        assert len(provider.books.lines()) == 1


async def test_the_time_of_last_use_is_noted_off_the_path_of_calls(
    house: House, start: Start
) -> None:
    def used() -> datetime | None:
        return ApiKey.objects.get(pk=house.key.pk).last_used_at

    async with start(house) as (client, proxy, _):
        await call(client)
        await proxy.gateway.callers.note_used()
        first = await house.make(used)
        await call(client)
        await proxy.gateway.callers.note_used()

        assert first is not None
        assert abs(timezone.now() - first) < timedelta(minutes=1)
        assert await house.make(used) == first
