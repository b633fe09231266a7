"""Hard budgets under parallel admissions, and what happens without the lines that protect them."""

import json
import random
import threading
import time
from collections import Counter
from decimal import Decimal

import psycopg
import pytest

from attribution.isolation.transaction import tenant
from budgets.limits.models import Budget
from tests.concurrency.store import ADMIT, World, make_world, resolve, settled, without

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

LOCK = "ORDER BY b.id FOR NO KEY UPDATE) l;"


def race(
    world: World, dsn: str, *, function: str = ADMIT, threads: int = 4, calls: int = 8
) -> Counter[str]:
    """Let several gateways ask at once, each for a batch of calls of 0.1; count the outcomes."""
    outcomes: Counter[str] = Counter()
    barrier = threading.Barrier(threads)

    def ask(gateway: psycopg.Connection) -> None:
        batch = [world.call("0.1") for _ in range(calls)]
        barrier.wait()
        try:
            outcomes.update(world.admit(gateway, batch, function=function))
        except psycopg.errors.DeadlockDetected:
            outcomes["deadlock"] += 1

    gateways = [psycopg.connect(dsn, autocommit=True) for _ in range(threads)]
    workers = [threading.Thread(target=ask, args=(gateway,)) for gateway in gateways]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for gateway in gateways:
        gateway.close()
    return outcomes


def test_parallel_admissions_fill_nested_budgets_exactly(gateway_dsn: str) -> None:
    for _ in range(10):
        world = make_world(limits=["1.0", "1.5", "1.0"])

        outcomes = race(world, gateway_dsn)

        assert outcomes == {"granted": 10, "budget_reserved": 22}
        assert world.overshoot() == 0


def test_control_without_the_row_lock_budgets_overshoot(gateway_dsn: str, owner_dsn: str) -> None:
    overshoots = 0
    with without(
        owner_dsn,
        "budgets/reservations/admit.sql",
        lambda sql: sql.replace(LOCK, "ORDER BY b.id) l;"),
    ) as schema:
        for _ in range(20):
            world = make_world(limits=["1.0", "1.0", "1.0"])
            race(world, gateway_dsn, function=f"{schema}.{ADMIT}")
            overshoots += world.overshoot() > 0

    assert overshoots > 0


def test_many_shared_periods_never_deadlock(gateway_dsn: str) -> None:
    world = make_world(limits=["100"] * 40)

    outcomes: Counter[str] = Counter()
    for _ in range(5):
        outcomes += race(world, gateway_dsn)

    assert set(outcomes) == {"granted"}


def test_control_without_the_order_of_locks_admissions_deadlock(
    gateway_dsn: str, owner_dsn: str
) -> None:
    def shuffle(sql: str) -> str:
        return sql.replace(
            LOCK, "ORDER BY md5(b.id::text || pg_backend_pid()::text) FOR NO KEY UPDATE) l;"
        )

    with without(owner_dsn, "budgets/reservations/admit.sql", shuffle) as schema:
        world = make_world(limits=["100"] * 60)
        outcomes: Counter[str] = Counter()
        for _ in range(30):
            outcomes += race(world, gateway_dsn, function=f"{schema}.{ADMIT}")
            if outcomes["deadlock"]:
                break

    assert outcomes["deadlock"] > 0


def cross(world: World, dsn: str, *, function: str = "budgets_settle") -> Counter[str]:
    """Settle a call of two periods while an open transaction admits to the first, then to both."""
    outcomes: Counter[str] = Counter()
    first = world.periods[:1]
    with psycopg.connect(dsn, autocommit=True) as settler, psycopg.connect(dsn) as gateway:
        call = world.call("0.1")
        world.admit(settler, [call])

        def settle() -> None:
            try:
                outcomes.update(resolve(settler, [settled(call, "0.1")], function=function))
            except psycopg.errors.DeadlockDetected:
                outcomes["deadlock"] += 1

        thread = threading.Thread(target=settle)
        world.admit(gateway, [world.call("0.1", periods=first)])
        thread.start()
        time.sleep(0.3)
        try:
            outcomes.update(world.admit(gateway, [world.call("0.1")]))
        except psycopg.errors.DeadlockDetected:
            outcomes["deadlock"] += 1
        gateway.rollback()
        thread.join()
    return outcomes


def test_a_settlement_and_an_admission_that_meet_never_deadlock(gateway_dsn: str) -> None:
    assert cross(make_world(limits=["1", "1"]), gateway_dsn) == {"granted": 1, "done": 1}


def test_control_with_another_order_of_locks_a_settlement_and_an_admission_deadlock(
    gateway_dsn: str, owner_dsn: str
) -> None:
    def backwards(sql: str) -> str:
        return sql.replace(
            "ORDER BY r.id FOR NO KEY UPDATE", "ORDER BY r.id DESC FOR NO KEY UPDATE"
        )

    with without(owner_dsn, "budgets/reservations/resolve.sql", backwards) as schema:
        outcomes = cross(
            make_world(limits=["1", "1"]), gateway_dsn, function=f"{schema}.budgets_settle"
        )

    assert outcomes["deadlock"] == 1


def test_random_races_never_pass_a_limit_and_use_it_up(gateway_dsn: str) -> None:
    chance = random.Random(20261122)  # noqa: S311 -- repeatable, not secret
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        for _ in range(5):
            world = make_world(limits=["1", "1.2", "1"])
            largest = Decimal("0.05")
            refused = 0
            while refused < 3:
                batch = [world.call(str(Decimal(chance.randint(1, 50)) / 1000)) for _ in range(50)]
                outcomes = world.admit(gateway, batch)
                granted = [
                    call
                    for call, outcome in zip(batch, outcomes, strict=True)
                    if outcome == "granted"
                ]
                resolve(gateway, [settled(call, call["amount"]) for call in granted])
                refused += not granted
                assert world.overshoot() <= 0
            assert world.overshoot() > -largest


def test_a_refusal_names_the_budget_and_its_figures(gateway_dsn: str) -> None:
    world = make_world(limits=["1.0", "0.25"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [world.call("0.2")]) == ["granted"]

        assert world.admit(gateway, [world.call("0.1"), world.call("0.3"), world.call("0.05")]) == [
            "budget_reserved",
            "budget_exceeded",
            "granted",
        ]


def test_soft_budgets_count_and_never_refuse(gateway_dsn: str) -> None:
    world = make_world(limits=["0.1"], enforcement="warn")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        outcomes = world.admit(gateway, [world.call("0.1") for _ in range(3)])

    assert outcomes == ["granted"] * 3
    assert world.figures() == [(Decimal("0.1"), Decimal(0), Decimal("0.3"), Decimal(0))]


def test_asking_again_with_the_same_ids_holds_once(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    calls = [world.call("0.1") for _ in range(3)]
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, calls) == ["granted"] * 3
        assert world.admit(gateway, calls) == ["granted"] * 3

    assert world.figures()[0][2] == Decimal("0.3")


def test_a_stale_epoch_writes_nothing(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [world.call("0.1", epoch=7)]) == ["stale"]

    assert world.figures()[0][2] == 0


def test_periods_of_another_organization_are_stale(gateway_dsn: str) -> None:
    ours, theirs = make_world(limits=["1"]), make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert ours.admit(gateway, [ours.call("0.1", periods=theirs.periods)]) == ["stale"]

    assert theirs.figures()[0][2] == 0


def test_an_idempotency_key_admits_one_of_many(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    taken = {"idem": "\\x" + "ab" * 32, "body_fp": "\\x" + "cd" * 16}
    outcomes: Counter[str] = Counter()

    def ask() -> None:
        with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
            outcomes.update(world.admit(gateway, [world.call("0.1", **taken)]))

    workers = [threading.Thread(target=ask) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert outcomes == {"granted": 1, "duplicate": 5}
    assert world.figures()[0][2] == Decimal("0.1")


def test_a_call_waits_as_long_as_the_most_hurried_budget_that_blocks(gateway_dsn: str) -> None:
    world = make_world(limits=["1", "1.2", "5"])
    with tenant(world.organization_id):
        for name, wait_ms in (("budget 0", 3000), ("budget 1", 200), ("budget 2", 10)):
            Budget.objects.filter(name=name).update(wait_ms=wait_ms)
    waits = []
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [world.call("0.9")]) == ["granted"]
        for amount in ("0.2", "0.4"):  # in the way: the first; the first and the second
            body = {"worker": str(world.worker_id), "calls": [world.call(amount)]}
            row = gateway.execute("SELECT detail FROM budgets_admit(%s::jsonb)", [json.dumps(body)])
            waits.append((row.fetchone() or ({},))[0]["budget"]["wait_ms"])

    assert waits == [3000, 200]
