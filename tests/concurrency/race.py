"""One race: 500 calls of random costs at once for the money of three nested budgets, limits moving."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
from django.db import connection
from django.utils import timezone

from attribution.isolation.transaction import tenant
from budgets.limits.amounts import BudgetOverride, LimitVersion
from budgets.limits.models import Budget, Threshold
from tests.concurrency.crew import Crew
from tests.concurrency.oracle import Standing, judge, text, whole
from tests.concurrency.report import Found
from tests.concurrency.store import World, open_period, resolve

CALLS = 500
QUESTIONS = 16  # of some 32 calls, as a gateway's batches
LARGEST = (whole("0.005"), whole("0.02"), whole("0.2"))  # holds of a race: 500 cost 1 to 50 USD
LEAST = 1  # 10^-12 USD
POSSIBLE = (("acme",), ("other",), ("acme", "other"))  # providers that a call may go to
FOR_ACME = {"providers": ["acme"]}
RAISED_S = 0.03  # that an override runs


@dataclass
class Limit:
    """What a budget's limit was over time: an amount counts from its commit, maybe from before."""

    amounts: list[int]
    set_at: list[float] = field(default_factory=lambda: [0.0])  # commits, in seconds since 1970
    raised: int = 0
    raised_until: float = 0.0

    def may_be(self, amount: int, at: float) -> bool:
        """Say whether an admission that began at an instant may have met this limit."""
        known = sum(one <= at for one in self.set_at)
        bases = self.amounts[known - 1 :]
        return amount in bases or (at < self.raised_until and amount - self.raised in bases)


class Race:
    """Gateways that admit and settle calls of three fresh budgets while their limits move."""

    def __init__(self, crew: Crew, home: World, seed: str, found: Found) -> None:
        self.crew, self.home, self.seed, self.found = crew, home, seed, found
        self.chance = random.Random(seed)  # noqa: S311 -- repeatable, not secret
        self.largest = self.chance.choice(LARGEST)
        self.is_filtered = self.chance.random() < 0.4
        self.guard = threading.Lock()
        with tenant(home.organization_id):
            self._open()
        self.charged = dict.fromkeys(self.world.periods, 0)

    def run(self) -> None:
        """Race, compare at rest, and use up the last of the money."""
        lines = enumerate(self.crew.gateways)
        work = [self.crew.pool.submit(self._carry, number, line) for number, line in lines]
        self._move_limits()
        for one in work:
            try:
                one.result()
            except psycopg.errors.DeadlockDetected as error:
                self.found.blame([f"race {self.seed}: {error}"])
        self._close()
        self.found.races += 1

    def _open(self) -> None:
        """Open three budgets of the running day; at least one blocks."""
        chance, now = self.chance, timezone.now()
        modes = [chance.choice(["block"] * 8 + ["elastic", "observe"]) for _ in range(3)]
        modes[chance.randrange(2)] = "block"
        limits = [f"{chance.randint(200, 3000) / 1000:.3f}" for _ in range(3)]
        self.budgets = Budget.objects.bulk_create(
            Budget(
                name=f"{self.seed} {n}",
                scope="organization",
                enforcement=mode,
                filters=FOR_ACME if self.is_filtered and n == 2 else {},
            )
            for n, mode in enumerate(modes)
        )
        made = zip(self.budgets, limits, strict=True)
        LimitVersion.objects.bulk_create(
            LimitVersion(budget=budget, amount=limit, effective_at=now) for budget, limit in made
        )
        if chance.random() < 0.2:
            Threshold.objects.bulk_create(
                Threshold(budget=budget, value=80) for budget in self.budgets
            )
        periods = [open_period(budget, now) for budget in self.budgets]
        self.limits = {
            period: Limit([whole(limit)]) for period, limit in zip(periods, limits, strict=True)
        }
        home = self.home
        self.world = World(home.organization_id, home.cost_center_id, periods, key_id=home.key_id)

    # -- a gateway

    def _carry(self, number: int, gateway: psycopg.Connection) -> None:
        """Admit this gateway's share of the calls, settling some of them in between."""
        sizes = Counter(random.Random(self.seed).choices(range(QUESTIONS), k=CALLS))  # noqa: S311 -- the same for all gateways
        chance = random.Random(f"{self.seed} {number}")  # noqa: S311 -- repeatable, not secret
        mine = range(number, QUESTIONS, len(self.crew.gateways))
        held: list[dict[str, Any]] = []
        for question in mine:
            held += self._admit(gateway, [self._call(chance) for _ in range(sizes[question])])
            if chance.random() < 0.4:
                half = len(held) // 2
                self._settle(gateway, held[:half], chance)
                held = held[half:]
        self._settle(gateway, held, chance)

    def _call(self, chance: random.Random) -> dict[str, Any]:
        """Return a call of a random hold, held in every period that one of its targets matches."""
        possible = chance.choice(POSSIBLE)
        periods = self.world.periods
        if self.is_filtered and "acme" not in possible:
            periods = periods[:2]
        return self.world.call(
            text(chance.randint(1, self.largest)),
            periods=periods,
            provider=chance.choice(possible),
            wait=chance.random() < 0.1,
        )

    def _admit(
        self, gateway: psycopg.Connection, calls: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Admit calls, look how their periods then stand, and compare with the right answers: I2."""
        if not calls:
            return []
        answers, after, at = self.crew.admit(gateway, self.world, calls)
        wrong = [
            f"a limit of {standing.limit} at {at}: {self.limits[period]}"
            for period, standing in after.items()
            if not self.limits[period].may_be(standing.limit, at)
        ]
        wrong += judge(calls, answers, after)
        with self.guard:
            self.found.calls += len(calls)
            self.found.outcomes.update(why for why, _ in answers)
            self.found.blame(f"race {self.seed}: {one}" for one in wrong)
        return [call for call, (why, _) in zip(calls, answers, strict=True) if why == "granted"]

    def _settle(
        self, gateway: psycopg.Connection, calls: list[dict[str, Any]], chance: random.Random
    ) -> None:
        """End calls at random costs; the truth of a doubt, and some repetitions, come later."""
        if not calls:
            return
        ends, later = [], []
        for call in calls:
            cost = whole(call["amount"]) * chance.randint(0, 1000) // 1000
            state = chance.choice(("settled",) * 7 + ("released", "uncertain", "uncertain"))
            end = {"id": call["id"], "state": state, "cost": text(cost)}
            ends.append(end)
            if state == "uncertain":
                truth = chance.choice(("settled", "settled", "released"))
                later.append({**end, "state": truth})
            elif chance.random() < 0.1:
                later.append(end)
            if "settled" in {state, later[-1]["state"] if state == "uncertain" else state}:
                self._charge(call, cost)
        resolve(gateway, ends)
        if later:
            resolve(gateway, later)

    def _charge(self, call: Mapping[str, Any], cost: int) -> None:
        with self.guard:
            for period in call["periods"]:
                is_other = self.is_filtered and period == self.world.periods[2]
                if not is_other or call["provider"] == "acme":
                    self.charged[period] += cost

    # -- people

    def _move_limits(self) -> None:
        """Lower limits, raise one for a moment, each in a transaction of its own."""
        for _ in range(self.chance.randint(1, 3)):
            time.sleep(self.chance.uniform(0, 0.03))
            number = self.chance.randrange(3)
            budget, limit = self.budgets[number], self.limits[self.world.periods[number]]
            if self.chance.random() < 0.25 and not limit.raised:
                self._raise(budget, limit)
            else:
                self._lower(budget, limit)

    def _lower(self, budget: Budget, limit: Limit) -> None:
        amount = limit.amounts[-1] * self.chance.randint(200, 950) // 1000
        limit.amounts.append(amount)
        with tenant(self.home.organization_id):
            LimitVersion.objects.create(
                budget=budget, amount=text(amount), effective_at=timezone.now()
            )
            _relimit(budget)
        limit.set_at.append(_clock())

    def _raise(self, budget: Budget, limit: Limit) -> None:
        limit.raised = self.chance.randint(1, 5) * self.largest
        with tenant(self.home.organization_id):
            now = timezone.now()
            ends_at = now + timedelta(seconds=RAISED_S)
            limit.raised_until = ends_at.timestamp()
            BudgetOverride.objects.create(
                budget=budget,
                amount=text(limit.raised),
                starts_at=now,
                ends_at=ends_at,
                approved_at=now,
                reason="race",
            )
            _relimit(budget)

    # -- at rest

    def _close(self) -> None:
        """Compare what is charged; then money that fits is granted, and one unit more is refused."""
        time.sleep(max(0.0, *(one.raised_until - time.time() for one in self.limits.values())))
        gateway, world = self.crew.gateways[0], self.world
        first, after = self._closing(gateway, LEAST)
        extra = LEAST if first == "granted" else 0
        wrong = [
            f"{after[period]} where {charged} was charged"
            for period, charged in self.charged.items()
            if (after[period].spent, after[period].held, after[period].uncertain)
            != (charged, extra, 0)
        ]
        room = min(one.room for one in after.values() if one.is_hard)
        if first != "granted":
            self.found.passed += 1
        elif room > 0:
            last, _ = self._closing(gateway, room)
            more, _ = self._closing(gateway, LEAST)
            self.found.used_up += 1
            if (last, more) != ("granted", "budget_reserved"):
                wrong.append(f"the last {room} was {last}, then {more}")
        if first != "granted" and room > 0:
            wrong.append(f"{LEAST} was {first} though {room} was left")
        self.found.blame(f"race {self.seed}: {one}" for one in wrong)
        self._release(gateway, world)

    def _closing(self, gateway: psycopg.Connection, amount: int) -> tuple[str, dict[int, Standing]]:
        """Ask for one call of all periods."""
        call = self.world.call(text(amount), provider="acme")
        answers, after, _ = self.crew.admit(gateway, self.world, [call])
        self.closing = [*getattr(self, "closing", []), call]
        return answers[0][0], after

    def _release(self, gateway: psycopg.Connection, world: World) -> None:
        resolve(gateway, [{"id": call["id"], "state": "released"} for call in self.closing])


def _relimit(budget: Budget) -> None:
    question = {"organization_id": str(budget.organization_id), "budget_id": str(budget.pk)}
    with connection.cursor() as cursor:
        cursor.execute("SELECT budgets_relimit(%s::jsonb)", [json.dumps(question)])


def _clock() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::text")
        (now,) = cursor.fetchone()
    return float(now)
