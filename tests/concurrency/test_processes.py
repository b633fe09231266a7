"""Gateways as they run: nested budgets under a crowd, and everything killed under load."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from attribution.isolation.transaction import tenant
from tests.concurrency import processes
from tests.concurrency.processes import KeyWorld, Process

pytestmark = pytest.mark.concurrency
CROWD = 200
DEAR = {"input": "10", "output": "1000"}  # a dollar is gone after some sixty calls


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Process]:
    """Run a billing provider."""
    process = processes.provider(tmp_path / "books.jsonl")
    process.start()
    yield process
    process.kill()


@pytest.fixture
def gateways(provider: Process, tmp_path: Path) -> Iterator[list[Process]]:
    """Run two gateways over the run's database."""
    pair = [
        processes.gateway({"TOLLKEEPER_JOURNAL_DIR": str(tmp_path)}, provider) for _ in range(2)
    ]
    for process in pair:
        process.start()
    yield pair
    for process in pair:
        process.kill()


@pytest.mark.usefixtures("committed")
def test_a_crowd_uses_up_nested_budgets_and_never_passes_one(
    provider: Process, gateways: list[Process], tmp_path: Path
) -> None:
    limits = {"organization": "1.2", "cost_center": "1", "api_key": "1.1"}
    world = processes.make_key_world(provider.url, limits=limits, rates=DEAR)

    answers = asyncio.run(_crowd(gateways, world))

    outcomes = Counter(code for code, _ in answers)
    assert set(outcomes) <= {"200", "budget_exceeded", "budget_reserved"}
    assert [budget for code, budget in answers if budget and not _is_right(code, budget)] == []
    with tenant(world.organization_id):
        periods = processes.rows("SELECT limit_amount, spent, held, uncertain FROM v1_periods")
        ((true_cost,),) = processes.rows("SELECT sum(cost) FROM v1_calls WHERE state = 'settled'")
    assert all(spent + held + uncertain <= limit for limit, spent, held, uncertain in periods)
    assert {(spent, held, uncertain) for _, spent, held, uncertain in periods} == {
        (true_cost, 0, 0)
    }
    largest = max(Decimal(budget["needed"]) for _, budget in answers if budget)
    assert true_cost > 1 - largest
    assert len(processes.billed(tmp_path / "books.jsonl")) == outcomes["200"]


def test_killing_everything_under_load_loses_nothing() -> None:
    command = [
        sys.executable,
        "-m",
        "tests.concurrency.chaos",
        "--kills",
        "4",
        "--crashes",
        "1",
        "--seed",
        "7",
    ]

    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own command

    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    report = json.loads(done.stdout)
    assert report["upstream_calls"] > 50
    assert report["clients_saw"]["kills"] == 4


async def _crowd(
    gateways: list[Process], world: KeyWorld
) -> list[tuple[str, dict[str, Any] | None]]:
    limits = httpx.Limits(max_connections=CROWD)
    headers = {"authorization": f"Bearer {world.token}"}
    async with httpx.AsyncClient(
        headers=headers, timeout=60, limits=limits, trust_env=False
    ) as http:
        clients = [_client(http, gateways[n % len(gateways)].url) for n in range(CROWD)]
        return [answer for answers in await asyncio.gather(*clients) for answer in answers]


async def _client(http: httpx.AsyncClient, url: str) -> list[tuple[str, dict[str, Any] | None]]:
    """Call until the money is gone; return what each answer was, with the budget a refusal names."""
    found: list[tuple[str, dict[str, Any] | None]] = []
    for _ in range(60):
        answer = await http.post(
            f"{url}/v1/chat/completions",
            json=processes.chat("hi @tokens=12 @slow=0.02", max_tokens=16),
        )
        error = answer.json().get("error", {})
        found.append((error.get("code", str(answer.status_code)), error.get("budget")))
        if found[-1][0] == "budget_exceeded":
            break
    return found


def _is_right(code: str, budget: dict[str, Any]) -> bool:
    """Say whether a refusal's own figures justify it."""
    limit, spent, uncertain, held, needed = (
        Decimal(budget[name]) for name in ("limit", "spent", "uncertain", "held", "needed")
    )
    room = limit - spent - uncertain
    return room < needed if code == "budget_exceeded" else room >= needed > room - held
