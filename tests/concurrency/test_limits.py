"""Limits that change by time, under parallel admissions, with every worker dead."""

import json
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from budgets.limits import overrides, revisions
from budgets.limits.models import Budget, BudgetPeriod, Rollover
from budgets.limits.overrides import Terms
from budgets.limits.periods import Window
from budgets.reservations import books
from tests.concurrency.store import ADMIT, World, make_world, resolve, settled, without

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

FOLLOW = "PERFORM budgets_follow(q_due);"
THREADS = 4


def granted_after(
    world: World, dsn: str, instant: datetime, *, until: datetime, function: str = ADMIT
) -> list[bool]:
    """Ask from several gateways until an instant; tell of each grant asked for after another one."""
    late: list[bool] = []

    def ask(gateway: psycopg.Connection) -> None:
        while timezone.now() < until:
            asked_at = timezone.now()
            if world.admit(gateway, [world.call("0.1")], function=function) == ["granted"]:
                late.append(asked_at >= instant)
            time.sleep(0.002)

    gateways = [psycopg.connect(dsn, autocommit=True) for _ in range(THREADS)]
    workers = [threading.Thread(target=ask, args=(gateway,)) for gateway in gateways]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for gateway in gateways:
        gateway.close()
    return late


def make_raised(*, limit: str, by: str, seconds: float) -> tuple[World, datetime]:
    """Create a budget that is raised for a moment; return it and the instant at which that ends."""
    world = make_world(limits=[limit])
    ends = timezone.now() + timedelta(seconds=seconds)
    with tenant(world.organization_id):
        terms = Terms(Decimal(by), ends - timedelta(hours=1), ends, "a launch")
        overrides.grant(Budget.objects.get(), terms, at=timezone.now(), by=SYSTEM)
    return world, ends


def test_nothing_is_admitted_against_an_override_that_ended(gateway_dsn: str) -> None:
    world, ends = make_raised(limit="1.0", by="1000", seconds=1.5)

    late = granted_after(world, gateway_dsn, ends, until=ends + timedelta(seconds=0.5))

    assert len(late) > 10
    assert not any(late)
    ((limit, _, held, _),) = world.figures()
    assert limit == 1
    assert held == len(late) * Decimal("0.1")
    with tenant(world.organization_id):
        assert not books.verify()


def test_control_without_the_look_at_the_clock_an_ended_override_admits(
    gateway_dsn: str, owner_dsn: str
) -> None:
    with without(
        owner_dsn, "budgets/reservations/admit.sql", lambda sql: sql.replace(FOLLOW, "")
    ) as schema:
        world, ends = make_raised(limit="1.0", by="1000", seconds=1.5)

        late = granted_after(
            world,
            gateway_dsn,
            ends,
            until=ends + timedelta(seconds=0.5),
            function=f"{schema}.{ADMIT}",
        )

    assert any(late)


def make_carrying(*, limit: str) -> tuple[World, World, datetime]:
    """Create a budget whose period ends in a moment; return it, its next period, and that instant."""
    world = make_world(limits=[limit])
    ends = timezone.now() + timedelta(seconds=1)
    hour = timedelta(hours=1)
    with tenant(world.organization_id):
        budget = Budget.objects.create(
            name="days", scope="organization", enforcement="block", rollover=Rollover.CARRY_NET
        )
        revisions.revise(budget, Decimal(limit), at=timezone.now(), by=SYSTEM)
        now, following = (
            revisions.open_period(budget, window, is_backfilled=False)
            for window in (Window(ends - hour, ends), Window(ends, ends + hour))
        )
    assert now is not None
    assert following is not None
    return replace(world, periods=[now]), replace(world, periods=[following]), ends


def settle_late(gateway_dsn: str, calls: list[dict[str, Any]]) -> None:
    """Settle the calls of a period that has ended, one by one, at half of what was held."""
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        for call in calls:
            resolve(gateway, [settled(call, "0.05")])
            time.sleep(0.05)


def test_what_is_carried_follows_late_calls_and_is_never_overshot(gateway_dsn: str) -> None:
    before, after, ends = make_carrying(limit="2.0")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        calls = [before.call("0.1") for _ in range(20)]
        assert set(before.admit(gateway, calls)) == {"granted"}
    time.sleep(max((ends - timezone.now()).total_seconds(), 0) + 0.01)

    late = threading.Thread(target=settle_late, args=(gateway_dsn, calls))
    late.start()
    granted = granted_after(after, gateway_dsn, ends, until=ends + timedelta(seconds=8.5))
    late.join()

    assert len(granted) == 30  # 2.0 of its own, and 1.0 that was left
    with tenant(after.organization_id):
        period = BudgetPeriod.objects.get(pk=after.periods[0])
        assert period.limit_amount == period.held == Decimal(3)
        assert period.arm == 1
        assert not books.verify()


def test_every_reader_sees_an_override_end_though_nobody_calls(
    platform_dsn: str, gateway_dsn: str
) -> None:
    world, ends = make_raised(limit="1.0", by="4", seconds=1)
    with psycopg.connect(platform_dsn, autocommit=True) as reader:
        asked = "SELECT limit_amount, base_amount, raised FROM v1_periods WHERE period_id = %s"
        before = reader.execute(asked, world.periods).fetchone()
        time.sleep(max((ends - timezone.now()).total_seconds(), 0) + 0.05)
        after = reader.execute(asked, world.periods).fetchone()
    with tenant(world.organization_id):
        budget_id = str(Budget.objects.get().pk)
    question = {
        "organization_id": str(world.organization_id),
        "at_ms": int(time.time() * 1000),
        "budgets": [budget_id],
    }
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        row = gateway.execute("SELECT budgets_standing(%s::jsonb)", [json.dumps(question)])
        ((answer,),) = row.fetchall()

    assert (before, after) == ((5, 1, 4), (1, 1, 0))
    assert Decimal(answer[0]["limit"]) == 1
