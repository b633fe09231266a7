"""Every threshold is raised once, however many evaluate and settle at the same time."""

import json
import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from attribution.isolation.transaction import tenant
from budgets.alerts.models import Alert
from budgets.forecasts import evaluation
from budgets.forecasts.models import Forecast
from budgets.limits.models import BudgetPeriod, Threshold
from budgets.notifications.models import Notification
from tests.concurrency.store import World, make_world, resolve, settled, without
from tests.rollups import books

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

EVALUATORS = 20
RAISE = "budgets/alerts/raise_ahead.sql"


def together(work: Callable[[], object], times: int) -> list[Exception]:
    """Do the same at once in many threads, each with a connection of its own; return what failed."""
    barrier = threading.Barrier(times)
    failed: list[Exception] = []

    def run() -> None:
        barrier.wait()
        try:
            work()
        except (psycopg.Error, ArithmeticError) as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def crossing(owner_dsn: str) -> World:
    """Return a world of a budget of 1,000 with 50, 80 and 100 % of the forecast all expected to be passed."""
    world = make_world(limits=["1000"], enforcement="warn")
    with tenant(world.organization_id):
        budget = BudgetPeriod.objects.get().budget
        for percent in ("50", "80", "100"):
            Threshold.objects.create(budget=budget, basis="forecast", value=percent)
        Threshold.objects.create(
            budget=budget, basis="burn_rate", unit="factor", value=Decimal("0.5"), hours=24
        )
    with books(owner_dsn, organization_id=world.organization_id) as found:
        hour = timezone.now().replace(minute=0, second=0, microsecond=0)
        for days in range(1, 8):
            found.rollup(hour - timedelta(days=days, hours=-1), cost="2000")
    return world


def raised(world: World) -> Counter[tuple[str, Decimal]]:
    """Return how often each threshold has an alert."""
    with tenant(world.organization_id):
        return Counter(Alert.objects.values_list("basis", "threshold"))


def owed(world: World) -> int:
    """Return how many events wait to be told."""
    with tenant(world.organization_id):
        return Notification.objects.filter(topic="budget.threshold", recipient="").count()


FORECASTS = Counter(
    {
        **{("forecast", Decimal(percent)): 1 for percent in (50, 80, 100)},
        ("burn_rate", Decimal("0.5")): 1,
    }
)


def test_twenty_evaluators_at_once_raise_each_threshold_once(owner_dsn: str) -> None:
    world = crossing(owner_dsn)
    now = timezone.now()

    failed = [
        error
        for _ in range(2)
        for error in together(
            lambda: evaluation.evaluate(world.organization_id, at=now), EVALUATORS
        )
    ]

    assert failed == []
    assert raised(world) == FORECASTS
    assert owed(world) == 4
    with tenant(world.organization_id):
        assert Forecast.objects.count() == 1


def test_an_evaluator_that_dies_before_its_commit_raises_nothing_and_the_next_one_all(
    owner_dsn: str,
) -> None:
    world = crossing(owner_dsn)
    now = timezone.now()
    with psycopg.connect(os.environ["DATABASE_URL"]) as dying:
        _serve(dying, world)
        dying.execute("SELECT budgets_tell(%s::jsonb)", [json.dumps(_event(world))])
        dying.execute("SELECT budgets_raise_ahead(%s::jsonb)", [json.dumps(_question(world))])
        dying.close()  # without a commit: the process is gone

    assert raised(world) == Counter()
    evaluation.evaluate(world.organization_id, at=now)
    evaluation.evaluate(world.organization_id, at=now)

    assert raised(world) == FORECASTS


def test_twenty_settlements_at_once_raise_each_actual_threshold_once(gateway_dsn: str) -> None:
    world = make_world(limits=["1"], enforcement="warn")
    calls = [world.call("0.06") for _ in range(EVALUATORS)]
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert set(world.admit(gateway, calls)) == {"granted"}
    waiting = iter(calls)

    def settle() -> None:
        with psycopg.connect(gateway_dsn, autocommit=True) as own:
            resolve(own, [settled(next(waiting), "0.06")])

    failed = together(settle, EVALUATORS)

    assert failed == []
    assert raised(world) == Counter({("actual", Decimal(p)): 1 for p in (50, 80, 100)})
    assert owed(world) == 3


def test_control_without_the_unique_key_two_evaluators_raise_twice(owner_dsn: str) -> None:
    world = crossing(owner_dsn)
    evaluation.evaluate(world.organization_id, at=timezone.now())
    with twin(owner_dsn) as table:

        def unguarded(sql: str) -> str:
            return sql.replace("INTO alert (", f"INTO {table} (").replace(
                "FROM alert a", f"FROM {table} a"
            )

        with (
            without(owner_dsn, RAISE, unguarded) as schema,
            psycopg.connect(os.environ["DATABASE_URL"]) as one,
            psycopg.connect(os.environ["DATABASE_URL"]) as other,
        ):
            for evaluator in (one, other):
                _serve(evaluator, world)
                row = evaluator.execute(
                    f"SELECT {schema}.budgets_raise_ahead(%s::jsonb)",
                    [json.dumps(_question(world))],
                ).fetchone()
                assert row == (3,)


@contextmanager
def twin(owner_dsn: str) -> Iterator[str]:
    """Give a table of alerts that lacks the unique key."""
    schema = f"twin_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(f"CREATE SCHEMA {schema}")
        owner.execute(f"CREATE TABLE {schema}.alert (LIKE alert INCLUDING DEFAULTS)")
        owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO tollkeeper_ledger")
        owner.execute(f"GRANT SELECT, INSERT ON {schema}.alert TO tollkeeper_ledger")
        try:
            yield f"{schema}.alert"
        finally:
            owner.execute(f"DROP SCHEMA {schema} CASCADE")


def _serve(evaluator: psycopg.Connection, world: World) -> None:
    evaluator.execute(
        "SELECT set_config('app.organization_id', %s, true)", [str(world.organization_id)]
    )


def _question(world: World) -> dict[str, object]:
    return {"organization_id": str(world.organization_id), "periods": world.periods, "burns": []}


def _event(world: World) -> dict[str, object]:
    event = {"topic": "budget.recovered", "key": "gone", "payload": {}}
    return {"organization_id": str(world.organization_id), "events": [event]}
