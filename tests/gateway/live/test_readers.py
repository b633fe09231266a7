"""Who may listen to which calls, and until when."""

import json

import httpx
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Role
from gateway.keys import keyring
from gateway.keys.models import ApiKey
from tests import factories
from tests.gateway.live.listening import Station, ending, is_silent, said
from tests.gateway.running import House, aside


async def test_a_key_that_is_narrowed_to_cost_centers_hears_of_them_only(
    station: Station,
) -> None:
    def narrow() -> str:
        with tenant(station.house.id):
            fields = {"allowed_cost_centers": ["MARKETING"]}
            return keyring.issue("narrow", by=SYSTEM, fields=fields)[1]

    async with station.listening(api_key=await aside(narrow)) as socket:
        station.settle(request_id="not mine", cost_center="RND")
        station.settle(request_id="nobody's", cost_center=None)
        station.settle(request_id="mine", cost_center="MARKETING")

        assert (await said(socket))["request_id"] == "mine"
        assert await is_silent(socket)


async def test_a_key_without_the_scope_may_not_listen(station: Station) -> None:
    def issue() -> str:
        with tenant(station.house.id):
            return keyring.issue("calls only", by=SYSTEM, fields={"scopes": ["call"]})[1]

    async with station.socket() as socket:
        await socket.send(json.dumps({"api_key": await aside(issue)}))

        assert await ending(socket) == ("scope_not_allowed", 4403)


async def test_a_revoked_key_hears_nothing_more_within_seconds(station: Station) -> None:
    def revoke() -> None:
        with tenant(station.house.id):
            keyring.revoke(
                ApiKey.objects.get(pk=station.house.key.pk), by=SYSTEM, at=timezone.now()
            )

    async with station.listening() as socket, station.reading() as told:
        await aside(revoke)

        assert await ending(socket, within=8) == ("invalid_api_key", 4401)
        name, last = await anext(told)
        assert (name, last["error"]["code"]) == ("error", "invalid_api_key")


async def test_a_person_listens_with_their_session_from_our_own_page_only(
    station: Station,
) -> None:
    cookie = await aside(signed_in, house=station.house)
    headers = {"Cookie": cookie}
    async with station.socket(additional_headers=headers, origin=station.url) as socket:
        await socket.send(json.dumps({"greet": True}))
        assert await said(socket) == {"event": "open"}
        station.settle(request_id="seen")
        assert (await said(socket))["request_id"] == "seen"
    for origin in ("https://evil.example", None):
        async with station.socket(additional_headers=headers, origin=origin) as socket:
            await socket.send("{}")
            assert await ending(socket) == ("origin_not_allowed", 4403)
    async with station.reading(headers=headers) as told:
        station.settle(request_id="read")
        assert (await anext(told))[1]["request_id"] == "read"
    for name, value in (("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")):
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            async with station.reading(headers=headers | {name: value}):
                pass


async def test_a_manager_narrowed_to_a_department_hears_of_it_only(station: Station) -> None:
    cookie = await aside(signed_in, house=station.house, is_narrowed=True)
    headers = {"Cookie": cookie}
    async with station.socket(additional_headers=headers, origin=station.url) as socket:
        await socket.send(json.dumps({"greet": True}))
        assert await said(socket) == {"event": "open"}
        station.settle(request_id="not theirs", cost_center="RND")
        station.settle(request_id="theirs", cost_center="MARKETING")

        assert (await said(socket))["request_id"] == "theirs"
        assert await is_silent(socket)


async def test_signing_out_ends_the_stream(station: Station) -> None:
    cookie = await aside(signed_in, house=station.house)
    headers = {"Cookie": cookie}
    async with station.socket(additional_headers=headers, origin=station.url) as socket:
        await socket.send(json.dumps({"greet": True}))
        await said(socket)
        await aside(SessionStore(cookie.partition("=")[2]).delete)

        assert await ending(socket, within=8) == ("not_signed_in", 4401)


def signed_in(house: House, *, is_narrowed: bool = False) -> str:
    """Sign a manager of the house in and return their cookie."""
    user = factories.make_user()
    with tenant(house.id):
        department = house.center.department if is_narrowed else None
        factories.make_member(role=Role.MANAGER, user=user, department=department)
    client = Client()
    client.force_login(user)
    return f"session={client.cookies['session'].value}"


@pytest.mark.parametrize(
    ("cookie", "origin", "code"),
    [
        ("session=unknown0unknown0unknown0unknown0", "", "not_signed_in"),
        ('session="\\000\\000\\000\\000\\000\\000\\000\\000"', "", "invalid_api_key"),
        ("session=" + "x" * 4000, "", "not_signed_in"),
        ("=;;;session", "", "invalid_api_key"),
        ("session=unknown0unknown0unknown0unknown0", "http://[", "origin_not_allowed"),
        ("session=unknown0unknown0unknown0unknown0", "null", "origin_not_allowed"),
    ],
)
async def test_a_session_that_is_none_is_refused(
    station: Station, cookie: str, origin: str, code: str
) -> None:
    headers = {"Cookie": cookie, "Origin": origin or station.url}
    async with station.socket(additional_headers=headers) as socket:
        await socket.send("{}")

        assert (await ending(socket))[0] == code
