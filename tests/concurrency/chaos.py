"""Kill everything under load and compare the books with what the provider billed.

`python -m tests.concurrency.chaos --kills 100 --crashes 2 --seed 1` prints what it found as JSON and
ends with 1 when a promise did not hold: a call the provider accepted is missing or wrongly charged,
a limit was passed, a hold stays, an answer was complete before it was settled.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import django
import httpx

PRICE = {"prompt_tokens": Decimal("0.00000015"), "completion_tokens": Decimal("0.0000006")}
SETTLE_S = 45.0  # a worker is dead after 15 s without a beat, its holds expire within 20 s


class Chaos:
    """One run: a provider, gateways, clients, and what is done to them."""

    def __init__(self, options: argparse.Namespace, servers: Any, folder: Path) -> None:
        from tests.concurrency import processes  # noqa: PLC0415 -- Django must be set up first

        self.options, self.servers, self.folder = options, servers, folder
        self.tools = processes
        self.chance = random.Random(options.seed)  # noqa: S311 -- repeatable, not secret
        self.books = folder / "books.jsonl"
        self.provider = processes.provider(self.books)
        self.gateways: list[Any] = []
        self.seen: Counter[str] = Counter()
        self.complete: set[str] = set()
        self.worst = Decimal(-1)
        self.is_over = False

    async def run(self) -> dict[str, Any]:
        """Start everything, harm it, wait until it has healed, and report."""
        self.provider.start()
        limits = dict.fromkeys(("organization", "cost_center", "api_key"), self.options.limit)
        self.world = await asyncio.to_thread(
            self.tools.make_key_world, self.provider.url, limits=limits
        )
        env = {
            "TOLLKEEPER_JOURNAL_DIR": str(self.folder),
            "TOLLKEEPER_TEST_LOG": str(self.folder / "gateway.log"),
        }
        self.gateways = [
            self.tools.gateway(env, self.provider) for _ in range(self.options.gateways)
        ]
        for gateway in self.gateways:
            gateway.start()
        clients = [
            asyncio.create_task(self.client(number)) for number in range(self.options.clients)
        ]
        await self.harm()
        self.is_over = True
        await asyncio.gather(*clients)
        await self.heal()
        report = await asyncio.to_thread(self.report)
        for process in (*self.gateways, self.provider):
            process.kill()
        return report

    async def client(self, number: int) -> None:
        """Call a random gateway again and again, whole and streamed, and hang up now and then."""
        chance = random.Random(self.options.seed * 1000 + number)  # noqa: S311 -- repeatable, not secret
        headers = {"authorization": f"Bearer {self.world.token}"}
        async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
            while not self.is_over:
                gateway = chance.choice(self.gateways)
                wishes = f"hello @slow={chance.uniform(0, 0.03):.3f} @tokens={chance.randint(1, 30)} @gap=0.002"
                body = self.tools.chat(wishes, stream=chance.random() < 0.4)
                try:
                    await self.call(http, gateway.url, body, leaves=chance.random() < 0.05)
                except httpx.HTTPError as error:
                    self.seen[type(error).__name__] += 1
                    await asyncio.sleep(0.05)

    async def call(
        self, http: httpx.AsyncClient, url: str, body: dict[str, Any], *, leaves: bool
    ) -> None:
        """Make one call; remember it when its answer came whole."""
        async with http.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            self.seen[str(answer.status_code)] += 1
            if leaves and answer.status_code == httpx.codes.OK:
                return
            text = await answer.aread()
        if answer.status_code != httpx.codes.OK:
            await asyncio.sleep(0.05)
        elif not body["stream"] or text.rstrip().endswith(b"[DONE]"):
            self.complete.add(answer.headers["x-request-id"])

    async def harm(self) -> None:
        """Kill gateways at random; between the kills crash PostgreSQL, flush and stop Valkey, pause a gateway."""
        options = self.options
        crashes = {
            round((n + 1) * options.kills / (options.crashes + 1)) for n in range(options.crashes)
        }
        for number in range(options.kills):
            await asyncio.sleep(self.chance.uniform(0.2, 0.6))
            gateway = self.chance.choice(self.gateways)
            await asyncio.to_thread(gateway.kill)
            self.seen["kills"] += 1
            if number + 1 in crashes:
                await self.crash_servers()
            await asyncio.to_thread(self.watch)
            gateway.spawn()
            await self.answering(gateway)

    async def answering(self, gateway: Any) -> None:
        """Wait until a gateway answers, so that the next kill meets calls in flight."""
        until = time.monotonic() + 20
        while time.monotonic() < until and not await asyncio.to_thread(gateway.answers):  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.1)

    async def crash_servers(self) -> None:
        """Crash PostgreSQL at once, flush and stop Valkey, and let both return."""
        crash(self.servers.valkey, signal.SIGKILL)
        crash(
            self.servers.postgres, signal.SIGQUIT
        )  # PostgreSQL's immediate shutdown: no checkpoint
        self.seen["crashes"] += 1
        await asyncio.sleep(self.chance.uniform(0.5, 1.5))
        await asyncio.to_thread(self.servers.start)

    def watch(self) -> None:
        """Look at the worst budget period (I2)."""
        from attribution.isolation.transaction import tenant  # noqa: PLC0415

        with (
            contextlib.suppress(django.db.OperationalError, django.db.InterfaceError),
            tenant(self.world.organization_id),
        ):
            (worst,) = self.tools.rows(
                "SELECT max(spent + held + uncertain - limit_amount) FROM v1_periods"
            )
            self.worst = max(self.worst, worst[0] if worst[0] is not None else Decimal(-1))
        if django.db.connection.connection is not None and django.db.connection.errors_occurred:
            django.db.connection.close()

    async def heal(self) -> None:
        """Wait until nothing is held any more, at most as long as promised."""
        until = time.monotonic() + SETTLE_S
        began = time.monotonic()
        while time.monotonic() < until and await asyncio.to_thread(self.has_open_calls):  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.5)
        self.healed_s = round(time.monotonic() - began, 1)

    def has_open_calls(self) -> bool:
        """Say whether a call is still held."""
        from attribution.isolation.transaction import tenant  # noqa: PLC0415

        with tenant(self.world.organization_id):
            ((count,),) = self.tools.rows("SELECT count(*) FROM v1_calls WHERE state = 'held'")
        return bool(count)

    def report(self) -> dict[str, Any]:
        """Compare the books with the provider's."""
        from attribution.isolation.transaction import tenant  # noqa: PLC0415
        from budgets.reservations import books  # noqa: PLC0415

        self.watch()
        billed = self.tools.billed(self.books)
        with tenant(self.world.organization_id):
            calls = {
                str(row[0]): row
                for row in self.tools.rows(
                    "SELECT call_id, state, cost, is_estimated FROM v1_calls"
                )
            }
            breaches = [str(breach) for breach in books.verify()]
        wrong = [
            key
            for key, line in billed.items()
            if key in calls
            and calls[key][1] == "settled"
            and not calls[key][3]
            and calls[key][2] != price(line)
        ]
        return {
            "seed": self.options.seed,
            "upstream_calls": len(billed),
            "states": dict(Counter(row[1] for row in calls.values())),
            "clients_saw": dict(self.seen),
            "lost": sum(key not in calls for key in billed),
            "wrong": len(wrong),
            "billed_but_free": sum(
                calls[key][1] in {"released", "denied"} for key in billed if key in calls
            ),
            "complete_but_unsettled": sum(
                calls[key][1] != "settled" for key in self.complete if key in calls
            ),
            "complete_but_lost": sum(key not in calls for key in self.complete),
            "still_held": sum(row[1] == "held" for row in calls.values()),
            "healed_after_s": self.healed_s,
            "worst_over_limit": str(self.worst),
            "breaches": breaches,
        }


def crash(child: Any, number: signal.Signals) -> None:
    """End a server at once."""
    os.kill(child.pid, number)
    child.wait(until=time.monotonic() + 20)


def price(line: dict[str, Any]) -> Decimal:
    """Return the true cost of a billed call."""
    return sum((line[name] * rate for name, rate in PRICE.items()), Decimal(0))


def failures(report: dict[str, Any]) -> list[str]:
    """Name the promises that did not hold."""
    zeros = (
        "lost",
        "wrong",
        "billed_but_free",
        "complete_but_unsettled",
        "complete_but_lost",
        "still_held",
    )
    broken = [name for name in zeros if report[name]]
    broken += ["breaches"] if report["breaches"] else []
    return broken + (["worst_over_limit"] if Decimal(report["worst_over_limit"]) > 0 else [])


def main(arguments: list[str]) -> int:
    """Run with servers of one's own and print the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.concurrency.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--crashes", type=int, default=1)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--limit", default="1000")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from tests import servers  # noqa: PLC0415 -- starts nothing before its options are known

    with servers.own_servers() as own, tempfile.TemporaryDirectory() as folder:
        os.environ.update(own.environment())
        django.setup()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        report = asyncio.run(Chaos(options, own, Path(folder)).run())
    print(json.dumps(report, indent=1))
    return 1 if failures(report) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
