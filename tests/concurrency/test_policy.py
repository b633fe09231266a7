"""Budgets created, opened and changed beside running calls, and what the locks between them prevent."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import DatabaseError, connection, connections
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy import policy
from budgets.limits import revisions
from budgets.limits.amounts import LimitVersion
from budgets.limits.models import Budget, BudgetPeriod
from tests.concurrency.store import ADMIT, World, make_world, resolve, settled, without

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

FENCE = "PERFORM pg_advisory_xact_lock_shared(hashtextextended(o.org::text, 7))"
OPEN_CALLS = "AND u.state IN ('held', 'uncertain') ORDER BY u.id FOR NO KEY UPDATE;"
WAIT_S = 0.3


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[threading.Thread]:
    """Do something in a thread with database connections of its own; wait for its end."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            act()
        except (psycopg.Error, DatabaseError) as error:
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    time.sleep(WAIT_S)
    yield thread
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert not failures


def create_budget(world: World, function: str = "budgets_period") -> None:
    """Create a budget over all calls of a world, as revisions.create does."""
    now = timezone.now()
    with tenant(world.organization_id):
        policy.changed(world.organization_id)
        budget = Budget(name=uuid.uuid4().hex, scope="organization", enforcement="block")
        budget.save(force_insert=True)
        LimitVersion.objects.create(budget=budget, amount="1", effective_at=now)
        open_period(budget, now - timedelta(days=1), function=function)


def open_period(budget: Budget, start: datetime, *, function: str = "budgets_period") -> int:
    """Open two days of a budget, counting in what they have cost."""
    window = {
        "organization_id": str(budget.organization_id),
        "budget_id": str(budget.pk),
        "starts_at": start.astimezone(UTC).isoformat(),
        "ends_at": (start + timedelta(days=2)).astimezone(UTC).isoformat(),
        "backfill": True,
    }
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s::jsonb)", [json.dumps(window)])
        return int(cursor.fetchone()[0])


def newest(world: World) -> tuple[object, ...]:
    """Return spent, held and uncertain of the youngest period."""
    return world.figures()[-1][1:]


def test_a_budget_counts_a_call_admitted_while_it_was_created(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn) as gateway:
        assert world.admit(gateway, [world.call("0.5")]) == ["granted"]
        with meanwhile(lambda: create_budget(world)) as creation:
            assert creation.is_alive()
            gateway.commit()

    assert newest(world) == (0, Decimal("0.5"), 0)


def test_control_without_the_fence_a_call_is_admitted_past_a_new_budget(
    gateway_dsn: str, owner_dsn: str
) -> None:
    def unfenced(sql: str) -> str:
        return sql.replace(FENCE, "PERFORM 1")

    world = make_world(limits=["1"])
    with (
        without(owner_dsn, "budgets/reservations/admit.sql", unfenced) as schema,
        psycopg.connect(gateway_dsn) as gateway,
    ):
        function = f"{schema}.{ADMIT}"
        assert world.admit(gateway, [world.call("0.5")], function=function) == ["granted"]
        create_budget(world)
        gateway.commit()

    assert newest(world) == (0, 0, 0)


def test_a_budget_counts_a_call_that_settles_while_it_is_created(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn) as gateway:
        call = world.call("0.5")
        assert world.admit(gateway, [call]) == ["granted"]
        gateway.commit()
        assert resolve(gateway, [settled(call, "0.2")]) == ["done"]
        with meanwhile(lambda: create_budget(world)) as creation:
            assert creation.is_alive()
            gateway.commit()

    assert newest(world) == (Decimal("0.2"), 0, 0)


def test_control_without_locking_open_calls_a_new_budget_keeps_a_hold_for_ever(
    gateway_dsn: str, owner_dsn: str
) -> None:
    def careless(sql: str) -> str:
        return sql.replace(OPEN_CALLS, "AND u.state IN ('held', 'uncertain');")

    world = make_world(limits=["1"])
    with (
        without(owner_dsn, "budgets/limits/backfill.sql", careless) as schema,
        psycopg.connect(gateway_dsn) as gateway,
    ):
        call = world.call("0.5")
        assert world.admit(gateway, [call]) == ["granted"]
        gateway.commit()
        assert resolve(gateway, [settled(call, "0.2")]) == ["done"]
        create_budget(world, function=f"{schema}.budgets_period")
        gateway.commit()

    assert newest(world) == (0, Decimal("0.5"), 0)


def test_a_settlement_waiting_for_a_new_budget_counts_there(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = world.call("0.5")
        assert world.admit(gateway, [call]) == ["granted"]
        with tenant(world.organization_id):
            policy.changed(world.organization_id)
            budget = Budget.objects.create(name="late", scope="organization", enforcement="block")
            LimitVersion.objects.create(budget=budget, amount="1", effective_at=timezone.now())
            open_period(budget, timezone.now() - timedelta(days=1))
            settlement = threading.Thread(
                target=resolve, args=(gateway, [settled(call, "0.2")]), daemon=True
            )
            settlement.start()
            time.sleep(WAIT_S)
            assert settlement.is_alive()
        settlement.join(timeout=10)

    assert newest(world) == (Decimal("0.2"), 0, 0)


@pytest.mark.parametrize("is_revised_first", [True, False])
def test_a_limit_set_while_a_period_opens_reaches_it(*, is_revised_first: bool) -> None:
    world = make_world(limits=["1"])
    with tenant(world.organization_id):
        budget = Budget.objects.get()

    def revise() -> None:
        revisions.revise(budget, Decimal("0.25"), at=timezone.now(), by=SYSTEM)

    def open_next() -> None:
        open_period(budget, timezone.now() + timedelta(days=10))

    first, second = (revise, open_next) if is_revised_first else (open_next, revise)

    def follow() -> None:
        with tenant(world.organization_id):
            second()
        connections.close_all()

    with tenant(world.organization_id):
        first()
        late = threading.Thread(target=follow, daemon=True)
        late.start()
        time.sleep(WAIT_S)
    late.join(timeout=10)

    with tenant(world.organization_id):
        limits = list(BudgetPeriod.objects.values_list("limit_amount", flat=True))
    assert limits == [Decimal("0.25")] * 2


@pytest.mark.parametrize("function", ["budgets_relimit", "budgets_period", "budgets_ingest"])
def test_functions_of_people_refuse_another_organization(function: str) -> None:
    ours, theirs = make_world(limits=["1"]), make_world(limits=["1"])
    question = {"organization_id": str(theirs.organization_id), "budget_id": str(uuid.uuid4())}

    with (
        pytest.raises(DatabaseError, match="another organization is being served"),
        tenant(ours.organization_id),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SELECT {function}(%s::jsonb)", [json.dumps(question)])


def test_a_tenant_transaction_moves_no_call_of_another_organization(gateway_dsn: str) -> None:
    ours, theirs = make_world(limits=["1"]), make_world(limits=["1"])
    call = theirs.call("0.5")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert theirs.admit(gateway, [call]) == ["granted"]

    with tenant(ours.organization_id), connection.cursor() as cursor:
        truth = json.dumps([settled(call, "0.1")])
        cursor.execute("SELECT outcome FROM budgets_settle(%s::jsonb)", [truth])
        assert cursor.fetchone() == ("noop",)
        stray = json.dumps({"calls": [theirs.call("0.1")]})
        cursor.execute("SELECT outcome FROM budgets_admit(%s::jsonb)", [stray])
        assert cursor.fetchone() == ("stale",)

    assert theirs.figures() == [(Decimal(1), Decimal(0), Decimal("0.5"), Decimal(0))]
