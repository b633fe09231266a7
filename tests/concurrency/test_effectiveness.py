"""What is lowered, revoked or blocked acts in every gateway process, with Valkey or without it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from django.db import connections
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import required, tenant
from attribution.tenancy import blocks
from attribution.tenancy.blocks import Target
from attribution.tenancy.models import BlockedKind, CostCenter
from budgets.limits import revisions
from budgets.limits.models import Budget
from gateway.keys import keyring
from gateway.keys.models import ApiKey
from tests import servers
from tests.concurrency import processes
from tests.concurrency.processes import KeyWorld, Process

logger = logging.getLogger(__name__)
pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]
SOON = 1.0  # seconds that are promised, with Valkey and without it
QUIET = 0.7  # seconds without a good answer after which none is expected any more

Ask = Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]


@dataclass
class Watch:
    """What one gateway answered, by the moments at which it was asked."""

    good: list[float]
    refused: list[tuple[float, str]]

    def late(self, committed: float) -> float:
        """Return how many seconds after the commit a call was still begun that was answered well."""
        return max(0.0, max(self.good, default=committed) - committed)


def lower() -> None:
    """Set the budget's limit under what is spent."""
    budget = Budget.objects.get(scope="organization")
    revisions.revise(budget, Decimal("0.000000000001"), at=timezone.now(), by=SYSTEM)


def revoke() -> None:
    """Revoke the key."""
    keyring.revoke(ApiKey.objects.get(), by=SYSTEM, at=timezone.now())


def block(kind: BlockedKind) -> None:
    """Throw the kill switch."""
    ids = {
        BlockedKind.API_KEY: ApiKey.objects.get().pk,
        BlockedKind.COST_CENTER: CostCenter.objects.get().pk,
        BlockedKind.ORGANIZATION: required(),
    }
    target = Target(kind, ids[kind], "it")
    blocks.impose(target, reason="test", is_cut=False, by=SYSTEM, at=timezone.now())


ACTS = {
    "limit": (lower, "budget_exceeded"),
    "revoked": (revoke, "invalid_api_key"),
    "key": (lambda: block(BlockedKind.API_KEY), "blocked"),
    "cost_center": (lambda: block(BlockedKind.COST_CENTER), "blocked"),
    "organization": (lambda: block(BlockedKind.ORGANIZATION), "blocked"),
}


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Process]:
    """Run a billing provider."""
    process = processes.provider(tmp_path / "books.jsonl")
    process.start()
    yield process
    process.kill()


@pytest.fixture(params=["with Valkey", "without Valkey"])
def gateways(
    request: pytest.FixtureRequest, provider: Process, tmp_path: Path
) -> Iterator[list[Process]]:
    """Run two gateways over the run's database, whose Valkey may die under them."""
    with servers.own_valkey() as valkey:
        url = valkey.environment()["REDIS_URL"]
        env = {"TOLLKEEPER_JOURNAL_DIR": str(tmp_path), "REDIS_URL": url}
        pair = [processes.gateway(env, provider) for _ in range(2)]
        for process in pair:
            process.start()
        if request.param == "without Valkey":
            valkey.stop()
        yield pair
        for process in pair:
            process.kill()


def test_no_call_is_admitted_once_it_was_taken_away(
    provider: Process, gateways: list[Process]
) -> None:
    for name, (act, code) in ACTS.items():
        world = processes.make_key_world(provider.url, limits={"organization": "10"})

        committed, watches = asyncio.run(_watched(gateways, world, act, _chat))

        first = [watch.refused[0][0] - committed for watch in watches]
        logger.info("%s: first refusal %s s after the commit", name, first)
        assert all(watch.good for watch in watches)
        assert {c for watch in watches for _, c in watch.refused} == {code}
        assert max(watch.late(committed) for watch in watches) == 0


def test_what_needs_no_admission_is_refused_soon(
    provider: Process, gateways: list[Process]
) -> None:
    for name in ("revoked", "key", "organization"):
        act, code = ACTS[name]
        world = processes.make_key_world(provider.url, limits={})

        committed, watches = asyncio.run(_watched(gateways, world, act, _models))

        late = [watch.late(committed) for watch in watches]
        logger.info("%s: answered for %s s after the commit", name, late)
        assert all(watch.good for watch in watches)
        assert {c for watch in watches for _, c in watch.refused} == {code}
        assert max(late) < SOON


async def _watched(
    gateways: list[Process], world: KeyWorld, act: Callable[[], None], ask: Ask
) -> tuple[float, list[Watch]]:
    """Ask both gateways all the time, act under way; return when it was committed and what they said."""
    headers = {"authorization": f"Bearer {world.token}"}
    watches = [Watch([], []) for _ in gateways]
    async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        polls = [
            asyncio.create_task(_poll(http, gateway.url, watch, ask))
            for gateway, watch in zip(gateways, watches, strict=True)
        ]
        await asyncio.sleep(QUIET)
        committed = await asyncio.to_thread(_committed, world, act)
        await asyncio.gather(*polls)
    return committed, watches


async def _chat(http: httpx.AsyncClient, url: str) -> httpx.Response:
    return await http.post(f"{url}/v1/chat/completions", json=processes.chat("hi"))


async def _models(http: httpx.AsyncClient, url: str) -> httpx.Response:
    return await http.get(f"{url}/v1/models")


async def _poll(http: httpx.AsyncClient, url: str, watch: Watch, ask: Ask) -> None:
    """Call until nothing but refusals came for a while."""
    while not watch.refused or time.monotonic() - watch.refused[0][0] < QUIET:
        began = time.monotonic()
        answer = await ask(http, url)
        if answer.status_code == httpx.codes.OK:
            watch.good.append(began)
            watch.refused.clear()
        else:
            watch.refused.append((began, answer.json()["error"]["code"]))


def _committed(world: KeyWorld, act: Callable[[], None]) -> float:
    """Act in a transaction of its own; return when it was over."""
    try:
        with tenant(world.organization_id):
            act()
        return time.monotonic()
    finally:
        connections.close_all()
