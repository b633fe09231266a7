"""Real processes: a billing provider and gateways that can be killed, over servers of one's own."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.db import connection
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.prices.models import Price
from attribution.tenancy.models import CostCenter, Organization
from budgets.limits.amounts import LimitVersion
from budgets.limits.models import Budget
from gateway.keys.models import ApiKey
from gateway.keys.tokens import ENTROPY, Peppers, mint
from gateway.routes.models import Route, RouteTarget
from gateway.upstreams.models import Upstream

ROOT = Path(__file__).resolve().parent.parent.parent
READY_S = 30.0
MODEL = "gpt-4o-mini"
RATES = {"input": "0.15", "output": "0.6"}


class Process:
    """A process of its own group that ends with its test."""

    def __init__(self, argv: list[str], env: Mapping[str, str], url: str) -> None:
        self.argv, self.env, self.url = argv, {**os.environ, **env}, url
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.spawn()
        until = time.monotonic() + READY_S
        while not self.answers():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.argv[2]} does not answer at {self.url}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Return its id; 0 before it started."""
        return self._popen.pid if self._popen else 0

    def spawn(self) -> None:
        """Start it and do not wait."""
        with Path(self.env.get("TOLLKEEPER_TEST_LOG", os.devnull)).open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603 -- our own command
                self.argv, env=self.env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def answers(self) -> bool:
        """Say whether it answers HTTP."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/health", timeout=1).status_code == httpx.codes.OK
        return False

    def send(self, number: signal.Signals) -> None:
        """Signal it."""
        if self._popen is not None:
            with contextlib.suppress(ProcessLookupError):
                self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill it as the kernel would."""
        self.send(signal.SIGKILL)
        if self._popen is not None:
            self._popen.wait()

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        self.send(signal.SIGTERM)
        return self._popen.wait(60) if self._popen else 0


@dataclass(frozen=True)
class KeyWorld:
    """An organization whose key reaches one upstream under nested hard budgets."""

    organization_id: uuid.UUID
    token: str
    cost_center: str


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def provider(books: Path) -> Process:
    """Return a provider that bills to `books`."""
    port = free_port()
    argv = [sys.executable, "-m", "tests.fakes.provider", str(port), str(books)]
    return Process(argv, {}, f"http://127.0.0.1:{port}")


def gateway(env: Mapping[str, str], upstream: Process, *, port: int | None = None) -> Process:
    """Return a gateway process that may reach `upstream`, with a journal folder that outlives it."""
    port = port or free_port()
    own = {
        "PORT": str(port),
        "TOLLKEEPER_ROLE": "gateway",
        "TOLLKEEPER_EGRESS_ALLOW": upstream.url.removeprefix("http://"),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TOLLKEEPER_JOURNAL_DIR": os.environ.get("TOLLKEEPER_JOURNAL_DIR", tempfile.gettempdir()),
    }
    return Process(
        [sys.executable, "-m", "config.server"], {**own, **env}, f"http://127.0.0.1:{port}"
    )


def make_key_world(
    upstream_url: str, *, limits: Mapping[str, str], rates: Mapping[str, str] = RATES
) -> KeyWorld:
    """Create an organization with a key, a route to `upstream_url` and a hard budget per scope."""
    now = timezone.now()
    token = mint(secrets.token_bytes(ENTROPY))
    peppers = Peppers.from_setting(settings.TOLLKEEPER_KEY_PEPPER)
    organization = Organization(slug=f"o{uuid.uuid4().hex[:12]}", name="Processes")
    with tenant(organization.id):
        organization.save(force_insert=True)
        center = CostCenter.objects.create(code="RND", name="Research")
        key = ApiKey.objects.create(
            name="load",
            kid=token.kid,
            secret_hash=peppers.digest(token.secret, peppers.newest),
            pepper_version=peppers.newest,
            cost_center=center,
            concurrent_streams=None,
        )
        _make_route(upstream_url)
        scopes = {"organization": None, "cost_center": center.id, "api_key": key.id}
        for scope, limit in limits.items():
            _make_budget(scope, scopes[scope], limit)
        Price.objects.create(
            organization=organization,
            provider="fake",
            model=MODEL,
            rates={"base": dict(rates)},
            effective_from=now - timedelta(days=1),
            context_window=128_000,
            max_output_tokens=16_384,
        )
    return KeyWorld(organization.id, token.text, center.code)


def _make_route(upstream_url: str) -> None:
    upstream = Upstream.objects.create(
        name="fake", kind="openai_compatible", base_url=f"{upstream_url}/v1", provider="fake"
    )
    route = Route.objects.create(name=MODEL)
    RouteTarget.objects.create(route=route, upstream=upstream, provider_model=MODEL)


def _make_budget(scope: str, scope_id: uuid.UUID | None, limit: str) -> None:
    now = timezone.now()
    budget = Budget.objects.create(
        name=scope, scope=scope, scope_id=scope_id, enforcement="block", wait_ms=200
    )
    LimitVersion.objects.create(budget=budget, amount=limit, effective_at=now)


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Read rows of the organization being served, through the stable views."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def chat(message: str, *, stream: bool = False, max_tokens: int = 32) -> dict[str, Any]:
    """Return the body of a chat completion."""
    return {
        "model": MODEL,
        "stream": stream,
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": message}],
    }


def billed(books: Path) -> dict[str, dict[str, Any]]:
    """Return what the provider billed, by call."""
    lines = [json.loads(line) for line in books.read_text().splitlines()] if books.exists() else []
    return {line["id"]: line for line in lines}
