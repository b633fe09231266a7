"""Holds that grow while an answer comes: never past a hard limit, asked twice or by many at once."""

import json
import threading
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.usage.models import UsageRecord
from budgets.reservations import books, refusals
from budgets.reservations.refusals import Kind, Selection
from tests.concurrency.store import World, make_world, resolve, settled, without

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

ZERO = Decimal(0)
EXTEND = "budgets_extend"
LOCK = "ORDER BY r.id FOR NO KEY UPDATE) b;"


def extend(
    gateway: psycopg.Connection,
    asked: dict[str, str],
    *,
    wait: bool = False,
    function: str = EXTEND,
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Ask for larger holds by call; return outcome and detail of each."""
    items = [{"id": call, "amount": amount, "wait": wait} for call, amount in asked.items()]
    rows = gateway.execute(
        f"SELECT call_id::text, outcome, detail FROM {function}(%s::jsonb)",  # noqa: S608 -- our own names
        [json.dumps(items)],
    )
    return {call: (outcome, detail) for call, outcome, detail in rows.fetchall()}


def opened(world: World, gateway: psycopg.Connection, amount: str) -> str:
    """Admit a call; return its id."""
    call = world.call(amount)
    assert world.admit(gateway, [call]) == ["granted"]
    return str(call["id"])


def breaches(world: World) -> list[str]:
    """Return what the books complain of."""
    with tenant(world.organization_id):
        return [str(breach) for breach in books.verify()]


def test_a_hold_grows_in_every_period_of_its_call(gateway_dsn: str) -> None:
    world = make_world(limits=["1", "2"], enforcement="elastic")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = opened(world, gateway, "0.1")

        found = extend(gateway, {call: "0.3"})
        again = extend(gateway, {call: "0.3"})
        smaller = extend(gateway, {call: "0.2"})

        assert Decimal(found[call][1]["remaining"]) == Decimal("0.7")
        assert [one[call][0] for one in (found, again, smaller)] == ["granted"] * 3
        assert [held for _, _, held, _ in world.figures()] == [Decimal("0.3")] * 2
        assert breaches(world) == []
        resolve(gateway, [settled({"id": call}, "0.25")])

    assert [row[1:] for row in world.figures()] == [(Decimal("0.25"), ZERO, ZERO)] * 2
    assert breaches(world) == []


def test_what_does_not_fit_is_refused_with_its_arithmetic_and_the_hold_stays(
    gateway_dsn: str,
) -> None:
    world = make_world(limits=["1"], enforcement="elastic")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call, _ = opened(world, gateway, "0.1"), opened(world, gateway, "0.5")

        reserved = extend(gateway, {call: "0.8"}, wait=True)[call]
        with tenant(world.organization_id):
            assert UsageRecord.objects.get(pk=call).refusal is None
        exceeded = extend(gateway, {call: "1.1"})[call]

    assert (reserved[0], exceeded[0]) == ("budget_reserved", "budget_exceeded")
    told = exceeded[1]["budget"]
    assert {name: Decimal(told[name]) for name in ("limit", "spent", "held", "needed")} == {
        "limit": 1,
        "spent": 0,
        "held": Decimal("0.6"),
        "needed": 1,
    }
    with tenant(world.organization_id):
        assert UsageRecord.objects.get(pk=call).refusal == told
    assert world.figures()[0][2] == Decimal("0.6")
    assert breaches(world) == []


def test_a_call_that_ended_and_one_of_nobody_grow_no_more(gateway_dsn: str) -> None:
    world = make_world(limits=["1"], enforcement="elastic")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call, nobody = opened(world, gateway, "0.1"), str(world.call("0.1")["id"])
        resolve(gateway, [settled({"id": call}, "0.05")])

        found = extend(gateway, {call: "0.3", nobody: "0.3"})

    assert {outcome for outcome, _ in found.values()} == {"stale"}
    assert world.figures()[0][1:] == (Decimal("0.05"), ZERO, ZERO)


def test_a_budget_that_only_warns_lets_every_hold_grow(gateway_dsn: str) -> None:
    world = make_world(limits=["0.2"], enforcement="warn")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = opened(world, gateway, "0.1")

        assert extend(gateway, {call: "5"})[call][0] == "granted"

    assert world.figures()[0][2] == 5


def test_the_first_that_an_observing_budget_would_refuse_is_kept(gateway_dsn: str) -> None:
    world = make_world(limits=["0.2"], enforcement="observe")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = opened(world, gateway, "0.1")
        assert extend(gateway, {call: "0.3"}, wait=True)[call][0] == "granted"
        assert extend(gateway, {call: "0.5"}, wait=True)[call][0] == "granted"
        resolve(gateway, [settled({"id": call}, "0.4")])

    with tenant(world.organization_id):
        now = timezone.now()
        chosen = Selection(now - timedelta(hours=1), now + timedelta(hours=1))
        [refusal] = refusals.page(chosen).rows
    assert (refusal.kind, refusal.code) == (Kind.OBSERVED, "")
    assert (refusal.held, refusal.needed) == (Decimal("0.1"), Decimal("0.2"))


def crowd(world: World, dsn: str, *, function: str = EXTEND) -> Counter[str]:
    """Let four gateways extend eight calls each by 0.1 at once."""
    outcomes: Counter[str] = Counter()
    gateways = [psycopg.connect(dsn, autocommit=True) for _ in range(4)]
    calls = [[opened(world, gateway, "0.01") for _ in range(8)] for gateway in gateways]
    barrier = threading.Barrier(4)

    def ask(gateway: psycopg.Connection, mine: list[str]) -> None:
        barrier.wait()
        found = extend(gateway, dict.fromkeys(mine, "0.11"), function=function)
        outcomes.update(outcome for outcome, _ in found.values())

    threads = [
        threading.Thread(target=ask, args=pair) for pair in zip(gateways, calls, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for gateway in gateways:
        gateway.close()
    return outcomes


def test_many_extensions_at_once_fill_the_limit_exactly(gateway_dsn: str) -> None:
    for _ in range(5):
        world = make_world(limits=["1.32", "2"], enforcement="elastic")

        outcomes = crowd(world, gateway_dsn)

        assert outcomes == {"granted": 10, "budget_reserved": 22}
        assert world.overshoot() == 0
        assert breaches(world) == []


def test_control_without_the_row_lock_extensions_overshoot(
    gateway_dsn: str, owner_dsn: str
) -> None:
    overshoots = 0
    with without(
        owner_dsn,
        "budgets/reservations/extend.sql",
        lambda sql: sql.replace(LOCK, "ORDER BY r.id) b;"),
    ) as schema:
        for _ in range(20):
            world = make_world(limits=["1.32"], enforcement="elastic")
            crowd(world, gateway_dsn, function=f"{schema}.{EXTEND}")
            overshoots += world.overshoot() > 0

    assert overshoots > 0
