"""Races for the last money of three nested budgets, at the store layer.

`python -m tests.concurrency.races --rounds 10000 --seed 1` prints what it found as JSON and ends with 1
when a limit was passed at an admission's commit, a counter differs from what was granted and settled,
or money that fits was refused at rest.
"""

import argparse
import json
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import django
import psycopg

ROOM = (
    "SELECT min(limit_amount - spent - held - uncertain) FROM budget_period"
    " WHERE organization_id = %s AND hard"
)


@dataclass
class Found:
    """What a run of races found."""

    seed: int
    rounds: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    worst_room: Decimal = Decimal(10**9)
    breaches: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """Write it down."""
        report = {"seed": self.seed, "rounds": self.rounds, "outcomes": dict(self.outcomes)}
        return json.dumps(
            {**report, "worst_room": str(self.worst_room), "breaches": self.breaches[:20]}
        )


class Race:
    """Gateways that admit and settle calls of one organization while its limits are lowered."""

    def __init__(self, world: Any, dsn: str, *, seed: int, found: Found) -> None:
        from tests.concurrency import store  # noqa: PLC0415 -- Django must be set up first

        self.store, self.world, self.dsn, self.seed, self.found = store, world, dsn, seed, found
        self.charged = Decimal(0)
        self.guard = threading.Lock()

    def run(self, *, gateways: int, batches: int) -> None:
        """Run the gateways and whoever lowers limits beside each other, then compare at rest."""
        threads = [
            threading.Thread(target=self._carry, args=(number, batches))
            for number in range(gateways)
        ]
        threads.append(threading.Thread(target=self._lower))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._compare()

    def _carry(self, number: int, batches: int) -> None:
        chance = random.Random(f"{self.seed} {number}")  # noqa: S311 -- repeatable, not secret
        with self._connection() as app:
            for _ in range(batches):
                calls = [
                    self.world.call(str(Decimal(chance.randint(1, 200)) / 1000))
                    for _ in range(chance.randint(1, 8))
                ]
                granted = self._admit(app, calls)
                self._settle(app, granted, chance)

    def _admit(self, app: psycopg.Connection, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Admit calls and look at the room in the same transaction, its periods still locked: I2."""
        with app.transaction():
            self._serve(app)
            outcomes = self.world.admit(app, calls)
            (room,) = app.execute(ROOM, [self.world.organization_id]).fetchone() or (None,)
        granted = [call for call, why in zip(calls, outcomes, strict=True) if why == "granted"]
        with self.guard:
            self.found.outcomes.update(outcomes)
            if granted and room is not None:
                self.found.worst_room = min(self.found.worst_room, room)
                if room < 0:
                    self.found.breaches.append(f"seed {self.seed}: {room} left at a commit")
        return granted

    def _settle(
        self, app: psycopg.Connection, calls: list[dict[str, Any]], chance: random.Random
    ) -> None:
        ends = []
        for call in calls:
            cost = Decimal(call["amount"]) * chance.randint(0, 1000) / 1000
            end = chance.choice(("settled", "settled", "settled", "released", "uncertain"))
            ends.append({"id": call["id"], "state": end, "cost": f"{cost:f}"})
            if end == "uncertain":
                ends.append({"id": call["id"], "state": "settled", "cost": f"{cost:f}"})
            with self.guard:
                self.charged += 0 if end == "released" else cost
        first = {end["id"]: end for end in reversed(ends)}
        with app.transaction():
            self._serve(app)
            self.store.resolve(app, list(first.values()))
        with app.transaction():
            self._serve(app)
            self.store.resolve(app, ends)

    def _lower(self) -> None:
        """Set other limits, each in a transaction of its own: several could meet admissions crosswise."""
        chance = random.Random(f"{self.seed} limits")  # noqa: S311 -- repeatable, not secret
        organization = self.world.organization_id
        with self._connection() as app:
            with app.transaction():
                self._serve(app)
                budgets = app.execute(
                    "SELECT id FROM budget WHERE organization_id = %s", [organization]
                ).fetchall()
            for (budget,) in budgets:
                amount = Decimal(chance.randint(10, 100)) / 100
                with app.transaction():
                    self._serve(app)
                    app.execute(
                        "INSERT INTO limit_version (id, organization_id, budget_id, kind, amount, effective_at, reason, created_at)"
                        " VALUES (gen_random_uuid(), %s, %s, 'revised', %s, now(), '', clock_timestamp())",
                        [organization, budget, amount],
                    )
                    question = {"organization_id": str(organization), "budget_id": str(budget)}
                    app.execute("SELECT budgets_relimit(%s::jsonb)", [json.dumps(question)])

    def _compare(self) -> None:
        """Compare the counters at rest with what was granted and settled, and ask for what fits."""
        with self._connection() as app, app.transaction():
            self._serve(app)
            rows = app.execute(
                "SELECT spent, held, uncertain, limit_amount FROM budget_period WHERE organization_id = %s",
                [self.world.organization_id],
            ).fetchall()
            (booked,) = app.execute(
                "SELECT coalesce(sum(usd_amount), 0) FROM ledger_entry WHERE organization_id = %s",
                [self.world.organization_id],
            ).fetchone() or (None,)
            room = min(limit - spent for spent, _, _, limit in rows)
            fits = room <= 0 or self.world.admit(app, [self.world.call(f"{room:f}")]) == ["granted"]
        figures = {(spent, held, uncertain) for spent, held, uncertain, _ in rows}
        if figures != {(self.charged, 0, 0)} or booked != self.charged or not fits:
            self.found.breaches.append(
                f"seed {self.seed}: {figures}, booked {booked}, charged {self.charged}, fits {fits}"
            )

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.dsn, autocommit=True) as app:
            yield app

    def _serve(self, app: psycopg.Connection) -> None:
        app.execute(
            "SELECT set_config('app.organization_id', %s, true)", [str(self.world.organization_id)]
        )


def run(dsn: str, *, rounds: int, seed: int, gateways: int = 4) -> Found:
    """Run races, each with an organization of its own; a race is one batch of one gateway."""
    from tests.concurrency.store import make_world  # noqa: PLC0415 -- Django must be set up first

    found = Found(seed)
    while found.rounds < rounds:
        race = Race(
            make_world(limits=["1", "1.5", "1"]), dsn, seed=seed + found.rounds, found=found
        )
        race.run(gateways=gateways, batches=6)
        found.rounds += gateways * 6
    return found


def main() -> None:
    """Run on servers of one's own, or on those of DATABASE_URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    from tests import servers  # noqa: PLC0415 -- the environment comes first

    own = None
    if "DATABASE_URL" not in os.environ:
        own = servers.start(durable=False)
        os.environ.update(own.environment())
    try:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        django.setup()
        found = run(os.environ["DATABASE_URL"], rounds=options.rounds, seed=options.seed)
    finally:
        if own is not None:
            servers.stop(own)
    sys.stdout.write(found.as_json() + "\n")
    sys.exit(1 if found.breaches else 0)


if __name__ == "__main__":
    main()
