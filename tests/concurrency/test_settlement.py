"""Settling once, late and after an expiry, and what happens without the guard on a call's state."""

import json
from decimal import Decimal

import psycopg
import pytest

from attribution.isolation.transaction import tenant
from attribution.ledger.models import LedgerEntry
from budgets.alerts.models import Alert
from tests.concurrency.store import World, make_world, new_id, resolve, settled, without

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

GUARD = "l_state[j] = 'held' OR l_state[j] = 'uncertain' AND states[i] <> 'uncertain' AND p_kind <> 'expire'"


def held_call(world: World, gateway: psycopg.Connection, amount: str = "0.5") -> dict[str, str]:
    """Admit one call of a world."""
    call = world.call(amount)
    assert world.admit(gateway, [call]) == ["granted"]
    return call


def test_settling_twice_charges_once(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = held_call(world, gateway)

        assert resolve(gateway, [settled(call, "0.2")]) == ["done"]
        assert resolve(gateway, [settled(call, "0.2")]) == ["noop"]

    assert world.figures() == [(Decimal(1), Decimal("0.2"), Decimal(0), Decimal(0))]


def test_control_without_the_state_guard_a_call_is_charged_twice(
    gateway_dsn: str, owner_dsn: str
) -> None:
    def unguarded(sql: str) -> str:
        return sql.replace(GUARD, "true")

    world = make_world(limits=["1"])
    with (
        without(owner_dsn, "budgets/reservations/resolve.sql", unguarded) as schema,
        psycopg.connect(gateway_dsn, autocommit=True) as gateway,
    ):
        call = held_call(world, gateway)
        for _ in range(2):
            resolve(gateway, [settled(call, "0.2")], function=f"{schema}.budgets_settle")

    assert world.figures()[0][1] == Decimal("0.4")


def test_an_expired_hold_stays_charged_until_the_truth_lowers_it(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = held_call(world, gateway)

        resolve(gateway, [{"id": call["id"], "state": "uncertain"}])
        assert world.figures() == [(Decimal(1), Decimal(0), Decimal(0), Decimal("0.5"))]

        resolve(gateway, [settled(call, "0.2")])
        assert world.figures() == [(Decimal(1), Decimal("0.2"), Decimal(0), Decimal(0))]

    with tenant(world.organization_id):
        entries = LedgerEntry.objects.values_list("kind", "account", "usd_amount", "call_count")
        assert set(entries) == {
            ("settle", "uncertain", Decimal("0.5"), 1),
            ("correct", "uncertain", Decimal("-0.5"), -1),
            ("correct", "spent", Decimal("0.2"), 1),
        }


def test_a_released_call_costs_nothing_and_frees_its_hold(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = held_call(world, gateway)
        resolve(gateway, [{"id": call["id"], "state": "released"}])

    assert world.figures() == [(Decimal(1), Decimal(0), Decimal(0), Decimal(0))]
    with tenant(world.organization_id):
        assert not LedgerEntry.objects.exists()


def test_the_sweep_leaves_fresh_calls_and_calls_of_live_workers(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        held_call(world, gateway)
        (expired,) = gateway.execute(
            "SELECT budgets_expire(%s::jsonb)",
            [json.dumps({"live": [str(world.worker_id)], "limit": 100_000})],
        ).fetchone() or (None,)

    assert expired is not None
    assert world.figures()[0][2] == Decimal("0.5")


def test_each_threshold_raises_one_alert(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        for _ in range(9):
            call = held_call(world, gateway, "0.1")
            resolve(gateway, [settled(call, "0.1")])

    with tenant(world.organization_id):
        alerts = Alert.objects.order_by("threshold").values_list("threshold", "actual_at")
        assert list(alerts) == [(Decimal(50), Decimal("0.5")), (Decimal(80), Decimal("0.8"))]


def test_a_settlement_of_an_unknown_call_changes_nothing(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert resolve(gateway, [{"id": str(new_id()), "state": "settled", "cost": "1"}]) == [
            "noop"
        ]

    assert world.figures() == [(Decimal(1), Decimal(0), Decimal(0), Decimal(0))]


def test_giving_up_twice_counts_a_call_once(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        unsure = [{"id": held_call(world, gateway)["id"], "state": "uncertain"}]
        assert [resolve(gateway, unsure), resolve(gateway, unsure)] == [["done"], ["noop"]]

    with tenant(world.organization_id):
        entries = LedgerEntry.objects.values_list("usd_amount", "call_count")
        assert list(entries) == [(Decimal("0.5"), 1)]


@pytest.mark.parametrize(
    "end",
    [
        {"state": "held"},
        {"state": "denied"},
        {},
        {"state": "settled", "cost": "-0.1"},
        {"state": "settled", "cost": "NaN"},
        {
            "state": "settled",
            "cost": "0.2",
            "lines": [{"token_class": "input", "quantity": "1", "usd_amount": "0.1"}],
        },
        {
            "state": "settled",
            "cost": "0.2",
            "lines": [{"token_class": "input", "quantity": "1", "usd_amount": None}],
        },
    ],
)
def test_an_end_that_makes_no_sense_is_an_error(gateway_dsn: str, end: dict[str, object]) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = held_call(world, gateway)
        with pytest.raises(psycopg.errors.DataError):
            resolve(gateway, [{"id": call["id"], **end}])

    assert world.figures() == [(Decimal(1), Decimal(0), Decimal("0.5"), Decimal(0))]


def test_what_cannot_be_stored_is_rounded_alike_everywhere(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        calls = [world.call("0.0000000000004") for _ in range(2)]
        assert world.admit(gateway, calls) == ["granted"] * 2
        assert world.figures()[0][2] == 0
        resolve(gateway, [settled(call, "0.0000000000004") for call in calls])

    assert world.figures() == [(Decimal(1), Decimal(0), Decimal(0), Decimal(0))]


def test_the_sweep_gives_up_calls_of_dead_and_nameless_workers(
    gateway_dsn: str, owner_dsn: str
) -> None:
    def at_once(sql: str) -> str:
        return sql.replace("interval '15 s'", "interval '0 s'")

    world = make_world(limits=["1"])
    with (
        without(owner_dsn, "budgets/reservations/expire.sql", at_once) as schema,
        psycopg.connect(gateway_dsn, autocommit=True) as gateway,
    ):
        held_call(world, gateway, "0.25")
        nameless = {"calls": [world.call("0.5")]}
        gateway.execute("SELECT * FROM budgets_admit(%s::jsonb)", [json.dumps(nameless)])
        sweep = f"SELECT {schema}.budgets_expire(%s::jsonb)"
        gateway.execute(sweep, [json.dumps({"live": [str(world.worker_id)], "limit": 100_000})])
        assert world.figures()[0][2:] == (Decimal("0.25"), Decimal("0.5"))

        gateway.execute(sweep, [json.dumps({"live": [str(new_id())], "limit": 100_000})])

    assert world.figures()[0][2:] == (Decimal(0), Decimal("0.75"))
