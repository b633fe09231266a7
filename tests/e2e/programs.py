"""What the tests of the official SDKs share: a gateway process, a real llama.cpp server, an organization."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from django.conf import settings
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from gateway.keys import keyring
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream
from tests import factories
from tests.concurrency.processes import (
    MODEL,
    RATES,
    KeyWorld,
    Process,
    free_port,
    gateway,
    make_key_world,
    rows,
)

DATA = Path(os.environ.get("TOLLKEEPER_DATA", "../shared/data"))
UPSTREAM = DATA.parent / "upstream"
CLAUDE = "claude-tiny"  # the same server through its Anthropic messages
DEMO = "demo"
CACHED = "0.015"  # USD per million
SETTLED_S = 5.0
COLUMNS = ("state", "cost", "is_estimated", "wire_format", "model_billed", "cost_center_code")
TOKENS = ("input_tokens", "cache_read_tokens", "output_tokens")


@dataclass(frozen=True)
class House:
    """A running gateway and an organization that calls through it."""

    url: str
    world: KeyWorld
    poor: str  # a key whose budget is used up
    narrow: str  # a key that may use none of the models

    def record(self, call_id: str) -> dict[str, Any]:
        """Return what was booked of a call, once it is settled."""
        names = (*COLUMNS, *TOKENS)
        until = time.monotonic() + SETTLED_S
        while True:
            with tenant(self.world.organization_id):
                (row,) = rows(
                    f"SELECT {', '.join(names)} FROM v1_calls WHERE call_id = %s",  # noqa: S608 -- our columns
                    call_id,
                )
            found = dict(zip(names, row, strict=True))
            if found["state"] != "held" or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def last(self) -> dict[str, Any]:
        """Return what was booked of the newest call."""
        with tenant(self.world.organization_id):
            ((call_id,),) = rows("SELECT call_id FROM v1_calls ORDER BY occurred_at DESC LIMIT 1")
        return self.record(str(call_id))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a real llama.cpp server with a tiny random model, where its scripts are there."""
    model, port = tmp_path_factory.mktemp("llama") / "tiny.gguf", free_port()
    made = Process(
        [sys.executable, str(UPSTREAM / "serve.py"), str(model), str(port), MODEL],
        {},
        f"http://127.0.0.1:{port}",
    )
    if (UPSTREAM / "serve.py").exists():
        maker = [sys.executable, str(UPSTREAM / "make_tiny_gguf.py"), str(model)]
        subprocess.run(maker, check=True)  # noqa: S603 -- test data
        made.start()
    yield made
    made.kill()


@pytest.fixture
def llama(server: Process) -> Process:
    """Give the server to a test that is nothing without it."""
    if not server.answers():
        pytest.skip(f"no llama.cpp scripts at {UPSTREAM} (set TOLLKEEPER_DATA)")
    return server


@pytest.fixture(scope="module")
def house(server: Process, django_db_blocker: DjangoDbBlocker) -> Iterator[House]:
    """Give a gateway process, and an organization with routes to the server and to the demo."""
    with django_db_blocker.unblock():
        world = make_key_world(server.url, limits={"organization": "1", "api_key": "1"})
        with tenant(world.organization_id):
            _route(CLAUDE, f"{server.url}/v1")
            demo = factories.make_upstream(name="demo", kind="demo", provider="demo")
            factories.make_route(name=DEMO, upstream=demo)
            _price(DEMO, "demo", {"input": "2", "output": "8"})
            key, poor = keyring.issue("poor", by=SYSTEM)
            factories.make_budget(scope="api_key", scope_id=key.lineage, limit="0.000001")
            narrow = keyring.issue("narrow", by=SYSTEM, fields={"allowed_models": ["other-*"]})[1]
        process = gateway({}, server)
        process.start()
        yield House(process.url, world, poor, narrow)
        process.kill()


def _route(name: str, url: str) -> None:
    """Lead a route to the server's Anthropic messages, with a credential as the real ones need."""
    upstream = Upstream(
        name=name, kind="anthropic", base_url=url, provider="tiny", is_error_unbilled=True
    )
    public = envelope.private_key(settings.TOLLKEEPER_WRAP_KEY).public_key()
    sealable = cast("envelope.Sealable", upstream)
    origin, _ = kinds.address("anthropic", url)
    envelope.attach(sealable, secrets.token_hex(16), public, origin=origin, at=timezone.now())
    upstream.save(force_insert=True)
    factories.make_route(name=name, upstream=upstream)
    for model in (MODEL, name):  # the server answers with the first, whatever was asked
        _price(model, "tiny", {**RATES, "cache_read": CACHED})


def _price(model: str, provider: str, rates: dict[str, str]) -> None:
    factories.make_price(
        model=model,
        provider=provider,
        rates={"base": rates},
        context_window=128_000,
        max_output_tokens=16_384,
    )


def cost(read: int, written: int, *, cached: int = 0) -> Decimal:
    """Return what tokens cost at the prices of the server's models."""
    inputs = read * Decimal(RATES["input"]) + cached * Decimal(CACHED)
    return (inputs + written * Decimal(RATES["output"])) / 10**6


def demo_cost(read: int, written: int) -> Decimal:
    """Return what tokens cost at the prices of the demo."""
    return (read * Decimal(2) + written * Decimal(8)) / 10**6
