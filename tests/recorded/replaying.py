"""The recorded cases replayed through a running gateway, and what its books say of each."""

import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import psycopg
from django.conf import settings
from psycopg.rows import dict_row

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.prices.models import Price
from attribution.tenancy import policy
from gateway.keys import keyring
from gateway.proxy.asgi import Proxy
from gateway.routes.models import Route, RouteTarget
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream
from tests.fakes.recorded import Heard, Recorded
from tests.gateway.running import House, config, free_port, make_house, served
from tests.recorded import cases
from tests.recorded.cases import Case
from tests.recorded.places import Place, place_of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SECRET = "sk-of-the-upstream-0123456789"
MANY = 10_000_000
USUAL = {"input": "1", "output": "2"}  # where a case has no rates of its own
WRONG = {"input": "777", "output": "999"}  # nothing may be billed at these
CLASSES = {
    "input_audio": "audio_input",
    "cache_audio_read": "audio_cache_read",
    "output_audio": "audio_output",
}
# a model that works inside the call of another
ADVISORS = {"claude-opus-4-8": {"input": "5", "output": "25"}}
# `ambiguous`, although its tokens have a rate: some are billed by time
TIMED = {"mistral_chat-voxtral-small-latest-audio_in"}
WAYS: Mapping[str, tuple[str, int | None]] = {  # whose key, and the seed of the cuts
    "whole": ("headers", None),
    "cut": ("headers", 1),
    "cut again": ("headers", 2),
    "enriched": ("full", None),
    "enriched and cut": ("full", 3),
}


@dataclass(frozen=True)
class Replay:
    """One case, replayed."""

    status: int
    headers: httpx.Headers
    body: bytes
    record: dict[str, Any] | None  # of v1_calls
    heard: Heard | None  # the last request that reached the provider


@dataclass
class Theatre:
    """A running gateway whose upstreams are recordings."""

    port: int  # the recordings'
    tokens: dict[str, str]  # by what their keys add to bodies
    provider: Recorded
    places: dict[str, Place]
    http: httpx.AsyncClient
    books: psycopg.AsyncConnection[dict[str, Any]]
    played: dict[tuple[str, str], Replay] = field(default_factory=dict)

    async def replay(self, case: Case, way: str = "whole") -> Replay:
        """Replay a case once in each way."""
        name = (case["id"], way)
        if name not in self.played:
            self.played[name] = await self._play(case["id"], *WAYS[way])
        return self.played[name]

    async def _play(self, name: str, enrich: str, seed: int | None) -> Replay:
        place = self.places[name]
        self.provider.seed = seed
        self.provider.heard.pop(name, None)
        answer = await self.http.post(
            place.url(name),
            json=place.request(name),
            headers={"Authorization": f"Bearer {self.tokens[enrich]}"},
        )
        found = await self.books.execute(
            "SELECT * FROM v1_calls WHERE call_id = %s", [answer.headers["x-request-id"]]
        )
        heard = self.provider.heard.get(name)
        return Replay(
            answer.status_code,
            answer.headers,
            answer.content,
            await found.fetchone(),
            heard[-1] if heard else None,
        )


def build() -> tuple[House, dict[str, str], dict[str, Place]]:
    """Make an organization with an upstream, a route and the prices of each case."""
    house = make_house()
    places = {}
    for case in cases.manifest():
        if place := place_of(cases.load(case)):
            places[case["id"]] = place
    with tenant(house.id):
        tokens = {
            enrich: keyring.issue(
                enrich, by=SYSTEM, fields={"enrich": enrich, "requests_per_minute": MANY}
            )[1]
            for enrich in ("headers", "full")
        }
        upstreams = {name: _upstream(house, name, place) for name, place in places.items()}
        Upstream.objects.bulk_create(upstreams.values())
        routes = {name: Route(name=name) for name in places}
        Route.objects.bulk_create(routes.values())
        RouteTarget.objects.bulk_create(
            RouteTarget(route=routes[n], upstream=upstreams[n], provider_model=places[n].model)
            for n in places
        )
        priced = [case for case in cases.manifest() if case["id"] in places]
        Price.objects.bulk_create(
            price for case in priced for price in _prices(house, case, places[case["id"]].model)
        )
        policy.changed(house.id)
    return house, tokens, places


def short(name: str) -> str:
    """Return a name of its own for a case that fits into a column."""
    return f"{name[:50]} {hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _upstream(house: House, name: str, place: Place) -> Upstream:
    """Return an upstream that leads to one recording."""
    base = f"http://127.0.0.1:{house.port}/{name}{place.base}"
    upstream = Upstream(
        name=short(name),
        organization_id=house.id,
        kind=place.kind,
        base_url=base,
        provider=short(name),
        is_cost_reported=place.kind == "openrouter" or name.startswith("xai"),
        is_error_unbilled=True,
    )
    origin, _ = kinds.address(place.kind, base)
    public = envelope.private_key(settings.TOLLKEEPER_WRAP_KEY).public_key()
    sealable = cast("envelope.Sealable", upstream)
    envelope.attach(sealable, SECRET, public, origin=origin, at=LONG_AGO)
    return upstream


def _prices(house: House, case: Case, asked: str) -> list[Price]:
    """Return what each model of a case costs; a model that only was asked for must not be billed."""
    billed = (case.get("response_model") or asked).removeprefix("models/")
    rates = _rates(case)
    cards: dict[str, dict[str, Any]] = {name: {"base": base} for name, base in ADVISORS.items()}
    if rates is not None:
        cards |= {asked: {"base": WRONG}, billed: rates}
    return [
        Price(
            organization_id=house.id,
            provider=short(case["id"]),
            model=model,
            rates=card,
            context_window=1_000_000,
            max_output_tokens=100_000,
            effective_from=LONG_AGO,
        )
        for model, card in cards.items()
    ]


def _rates(case: Case) -> dict[str, Any] | None:
    """Return the rates that stand in the case; None where it says that there is no price."""
    expect = case["expect"]
    is_unknown = expect["kind"] in {"ambiguous", "unpriced"} and case["id"] not in TIMED
    if is_unknown:
        return None
    stated = expect.get("rates_usd_per_mtok") or USUAL
    base = {CLASSES.get(name, name): rate for name, rate in stated.items()}
    if fee := expect.get("web_search_usd_per_1000"):
        base["searches"] = str(Decimal(fee) / 1000)
    tier = expect.get("service_tier")
    if tier in {"flex", "priority"}:
        return {"base": WRONG, "service_tiers": {tier: {"base": base}}}
    return {"base": base}


@contextlib.asynccontextmanager
async def playing(
    house: House, tokens: dict[str, str], places: dict[str, Place], dsn: str, books_dsn: str
) -> AsyncIterator[Theatre]:
    """Run the recordings and a gateway; stop both in order."""
    by_name = {case["id"]: case for case in cases.manifest()}
    provider = Recorded(by_name, cases.load)
    with tempfile.TemporaryDirectory() as folder:
        proxy = Proxy(config(dsn, house, Path(folder)))
        async with served(provider, house.port):
            await proxy.start()
            async with (
                served(proxy, free_port()) as url,
                httpx.AsyncClient(base_url=url, timeout=30) as http,
                await psycopg.AsyncConnection.connect(
                    books_dsn, autocommit=True, row_factory=dict_row
                ) as books,
            ):
                try:
                    yield Theatre(house.port, tokens, provider, places, http, books)
                finally:
                    await proxy.stop()
