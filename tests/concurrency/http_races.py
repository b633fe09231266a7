"""Races through gateway processes: 500 calls over HTTP for the money of three nested budgets."""

import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
from django.db import connection
from django.utils import timezone

from attribution.isolation.transaction import tenant
from budgets.limits.amounts import LimitVersion
from budgets.limits.models import Budget
from budgets.reservations import books
from tests.concurrency import processes
from tests.concurrency.processes import KeyWorld, Process
from tests.concurrency.report import Found

CALLS = 500
BUSY = frozenset({"ledger_unavailable", "upstream_unreachable", "body_timeout", "cut off"})
TRIES = 30
RESTS = 100  # looks, a tenth of a second apart, until what nobody waited for is released
ONE = Decimal(1)
LAST = 8  # calls that ask for the last of the money at once
SCOPES = ("organization", "cost_center", "api_key")
DEAR = {"input": "10", "output": "1000"}
RATES = {name: Decimal(rate) / 10**6 for name, rate in DEAR.items()}
FIGURES = ("limit", "spent", "held", "uncertain")

# Sees every commit that adds to what is held of a hard budget, and keeps those over its limit: I2.
WATCH = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.breach (period_id bigint, over numeric);
CREATE FUNCTION {schema}.watch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO {schema}.breach VALUES (NEW.id, NEW.spent + NEW.held + NEW.uncertain - NEW.limit_amount);
  RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON budget_period FOR EACH ROW
  WHEN (NEW.hard AND NEW.held > OLD.held AND NEW.spent + NEW.held + NEW.uncertain > NEW.limit_amount)
  EXECUTE FUNCTION {schema}.watch();
"""
UNWATCH = "DROP TRIGGER watch ON budget_period; DROP SCHEMA {schema} CASCADE"


@dataclass
class Arena:
    """What all races share: a billing provider, gateways, and who watches the limits."""

    provider: Process
    gateways: list[Process]
    bill: Path
    owner: psycopg.Connection
    schema: str

    def breaches(self) -> list[tuple[int, Decimal]]:
        """Return what passed a limit since the last look."""
        return self.owner.execute(f"DELETE FROM {self.schema}.breach RETURNING *").fetchall()  # noqa: S608 -- our own name


@contextmanager
def arena(owner_dsn: str, folder: Path, *, gateways: int) -> Iterator[Arena]:
    """Start a provider and gateways; stop them at the end."""
    bill, schema = folder / "books.jsonl", f"watch_{random.getrandbits(32):08x}"
    provider = processes.provider(bill)
    provider.start()
    env = {"TOLLKEEPER_JOURNAL_DIR": str(folder)}
    crowd = [processes.gateway(env, provider) for _ in range(gateways)]
    for gateway in crowd:
        gateway.start()
    try:
        with psycopg.connect(owner_dsn, autocommit=True) as owner:
            owner.execute(WATCH.format(schema=schema))
            yield Arena(provider, crowd, bill, owner, schema)
            owner.execute(UNWATCH.format(schema=schema))
    finally:
        for process in (*crowd, provider):
            process.kill()


def run(owner_dsn: str, *, seed: int, races: int, gateways: int = 2, calls: int = CALLS) -> Found:
    """Race through gateways of one's own."""
    found = Found(seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        arena(owner_dsn, Path(folder), gateways=gateways) as place,
    ):
        began = time.monotonic()
        for number in range(races):
            asyncio.run(Race(place, f"{seed}.{number}", found, calls).run())
        found.seconds = time.monotonic() - began
    return found


class Race:
    """One organization whose program asks several gateways for more than there is."""

    def __init__(self, place: Arena, seed: str, found: Found, calls: int) -> None:
        self.place, self.seed, self.found, self.calls = place, seed, found, calls
        self.chance = random.Random(seed)  # noqa: S311 -- repeatable, not secret
        limits = {name: f"{self.chance.randint(200, 4000) / 1000:.3f}" for name in SCOPES}
        self.world: KeyWorld = processes.make_key_world(
            place.provider.url, limits=limits, rates=DEAR
        )
        with tenant(self.world.organization_id):
            Budget.objects.update(wait_ms=self.chance.choice([0, 0, 0, 200]))
        connection.close()

    async def run(self) -> None:
        """Ask, lower limits meanwhile, compare the books, ask for the last of the money."""
        headers = {"authorization": f"Bearer {self.world.token}"}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(
            headers=headers, timeout=60, trust_env=False, limits=limits
        ) as http:
            bodies = [self._body() for _ in range(self.calls)]
            lowering = asyncio.create_task(self._lower())
            answers = await asyncio.gather(*(self._ask(http, body) for body in bodies))
            await lowering
            wrong = [*_refused(answers), *await asyncio.to_thread(self._compare)]
            wrong += await self._last(http)
        wrong += [f"period {period} passed by {over}" for period, over in self.place.breaches()]
        self.found.races += 1
        self.found.calls += len(answers)
        self.found.outcomes.update(code for code, _ in answers)
        self.found.blame(f"race {self.seed}: {one}" for one in wrong)

    def _body(self) -> dict[str, Any]:
        most = self.chance.randint(1, 64)
        tokens, slow = self.chance.randint(1, most), self.chance.uniform(0, 0.1)
        text = f"hello @tokens={tokens} @slow={slow:.3f}"
        return processes.chat(text, stream=self.chance.random() < 0.3, max_tokens=most)

    async def _ask(
        self, http: httpx.AsyncClient, body: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]:
        """Ask a gateway; return 200 or the code of the refusal, and the budget that it names.

        On a busy machine a gateway may be too slow to read, admit or connect: then it is asked again.
        """
        code, budget = await self._asked(http, body)
        for _ in range(TRIES):
            if code not in BUSY:
                break
            self.found.outcomes[f"{code}, asked again"] += 1
            await asyncio.sleep(self.chance.uniform(0.2, 1))
            code, budget = await self._asked(http, body)
        return code, budget

    async def _asked(
        self, http: httpx.AsyncClient, body: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]:
        url = self.chance.choice(self.place.gateways).url
        try:
            answer = await http.post(f"{url}/v1/chat/completions", json=body)
        except httpx.TransportError:
            return "cut off", {}
        if answer.status_code == httpx.codes.OK:
            return "200", {}
        error = answer.json()["error"]
        return str(error["code"]), error.get("budget") or {}

    async def _lower(self) -> None:
        """Lower some limits while calls are under way."""
        for _ in range(self.chance.randint(1, 3)):
            await asyncio.sleep(self.chance.uniform(0.05, 0.4))
            share = Decimal(self.chance.randint(200, 950)) / 1000
            await asyncio.to_thread(self._limit, self.chance.choice(SCOPES), share=share)

    def _limit(self, scope: str, *, share: Decimal = ONE, amount: Decimal | None = None) -> None:
        """Give a budget another limit: a share of the newest, or an amount."""
        with tenant(self.world.organization_id):
            budget = Budget.objects.get(scope=scope)
            newest = LimitVersion.objects.filter(budget=budget).order_by("-created_at")[0].amount
            chosen = newest * share if amount is None else amount
            LimitVersion.objects.create(budget=budget, amount=chosen, effective_at=timezone.now())
            question = {"organization_id": str(budget.organization_id), "budget_id": str(budget.pk)}
            with connection.cursor() as cursor:
                cursor.execute("SELECT budgets_relimit(%s::jsonb)", [json.dumps(question)])
        connection.close()

    def _compare(self) -> list[str]:
        """Compare what is spent with the calls and with what the provider billed."""
        billed = processes.billed(self.place.bill)
        self._rest()
        with tenant(self.world.organization_id):
            calls = {
                str(row[0]): row
                for row in processes.rows("SELECT call_id, state, cost FROM v1_calls")
            }
            periods = processes.rows("SELECT spent, held, uncertain FROM v1_periods")
            wrong = [str(breach) for breach in books.verify()]
        connection.close()
        states = Counter(row[1] for row in calls.values())
        cost = sum((row[2] for row in calls.values() if row[1] == "settled"), Decimal(0))
        truth = sum((_price(billed[call]) for call in calls if call in billed), Decimal(0))
        if set(states) - {"settled", "denied", "released"} or cost != truth:
            wrong.append(f"{states} cost {cost} where {truth} was billed")
        if any(row != (cost, 0, 0) for row in periods):
            wrong.append(f"{periods} where calls cost {cost}")
        return wrong

    def _rest(self) -> None:
        """Wait until no call is held any more."""
        for _ in range(RESTS):
            with tenant(self.world.organization_id):
                ((held,),) = processes.rows("SELECT sum(held) FROM v1_periods")
            if not held:
                return
            time.sleep(0.1)

    async def _last(self, http: httpx.AsyncClient) -> list[str]:
        """Leave room for exactly one call, and let several ask for it at once."""
        body = processes.chat("the last @tokens=8 @slow=0.3", max_tokens=8)
        await asyncio.to_thread(self._limit_all, Decimal(1000))
        await self._ask(http, body)
        spent, hold = await asyncio.to_thread(self._newest)
        await asyncio.to_thread(self._limit_all, spent + hold)
        answers = await asyncio.gather(*(self._ask(http, body) for _ in range(LAST)))
        codes = Counter(code for code, _ in answers)
        self.found.used_up += codes["200"] == 1
        return [] if codes["200"] == 1 else [f"{codes} for room for one"]

    def _limit_all(self, amount: Decimal) -> None:
        for scope in SCOPES:
            self._limit(scope, amount=amount)

    def _newest(self) -> tuple[Decimal, Decimal]:
        """Return what is spent, and what the newest settled call held."""
        with tenant(self.world.organization_id):
            ((spent,),) = processes.rows("SELECT max(spent) FROM v1_periods")
            ((hold,),) = processes.rows(
                "SELECT hold_amount FROM v1_calls WHERE state = 'settled' ORDER BY call_id DESC LIMIT 1"
            )
        connection.close()
        return spent, hold


def _refused(answers: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Name answers that are none, and refusals of what would have fitted by their own figures."""
    wrong = []
    for code, budget in answers:
        if code not in {"200", "budget_exceeded", "budget_reserved"}:
            wrong.append(f"answered {code}")
        elif budget:
            limit, *used = (Decimal(budget[name]) for name in FIGURES)
            if limit - sum(used) >= Decimal(budget["needed"]):
                wrong.append(f"{code} though {budget}")
    return wrong


def _price(line: Mapping[str, Any]) -> Decimal:
    read, written = line["prompt_tokens"], line["completion_tokens"]
    cost: Decimal = RATES["input"] * read + RATES["output"] * written
    return cost
