"""Questions asked again: after an unknown commit, within one batch, with an idempotency key."""

import json
import time
import uuid
from decimal import Decimal

import psycopg
import pytest

from attribution.isolation.transaction import tenant
from attribution.ledger.models import LedgerEntry
from attribution.tenancy import policy
from budgets.reservations.models import Idempotency
from tests.concurrency.store import ADMIT, make_world, new_id, resolve, settled, without

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

KEY = {"idem": "\\x" + "ab" * 32, "body_fp": "\\x" + "cd" * 16}


def test_an_admission_asked_again_after_a_policy_change_is_still_granted(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    call = world.call("0.1")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [call]) == ["granted"]
        with tenant(world.organization_id):
            policy.changed(world.organization_id)

        assert world.admit(gateway, [call]) == ["granted"]

    assert world.figures()[0][2] == Decimal("0.1")


def test_an_admission_asked_again_long_after_is_still_granted(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    call = world.call("0.1", id=str(new_id(time.time() - 4.7)))
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [call]) == ["granted"]
        time.sleep(0.4)

        assert world.admit(gateway, [call]) == ["granted"]

    assert world.figures()[0][2] == Decimal("0.1")


def test_a_call_named_twice_in_a_batch_is_held_once(gateway_dsn: str) -> None:
    world = make_world(limits=["1", "1"])
    call = world.call("0.4")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [call, world.call("0.1"), call]) == ["granted"] * 3
        assert world.admit(gateway, [big := world.call("2"), big]) == ["budget_exceeded"] * 2
        waiting = world.call("0.6", wait=True)
        assert world.admit(gateway, [waiting, waiting]) == ["budget_reserved"] * 2

    assert [held for _, _, held, _ in world.figures()] == [Decimal("0.5")] * 2


def test_a_period_named_twice_is_held_once(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        call = world.call("0.4", periods=world.periods * 2)
        assert world.admit(gateway, [call]) == ["granted"]

    assert world.figures()[0][2] == Decimal("0.4")


def test_a_refusal_asked_again_leaves_the_idempotency_key_free(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    refused = world.call("2", **KEY)
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [refused]) == ["budget_exceeded"]
        assert world.admit(gateway, [refused]) == ["budget_exceeded"]

        assert world.admit(gateway, [world.call("0.1", **KEY)]) == ["granted"]


def test_a_released_call_asked_again_leaves_the_idempotency_key_free(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    call = world.call("0.1", **KEY)
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [call]) == ["granted"]
        resolve(gateway, [{"id": call["id"], "state": "released"}])
        assert world.admit(gateway, [call]) == ["released"]

    with tenant(world.organization_id):
        assert not Idempotency.objects.exists()


def test_a_duplicate_is_told_the_state_of_the_first_call(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    first, second = world.call("0.1", **KEY), world.call("0.1", **KEY)
    body = {"worker": str(world.worker_id), "calls": [second]}
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [first]) == ["granted"]
        resolve(gateway, [settled(first, "0.05")])
        (answer,) = gateway.execute(
            "SELECT detail FROM budgets_admit(%s::jsonb)", [json.dumps(body)]
        ).fetchall()

    assert (answer[0]["call_id"], answer[0]["state"]) == (first["id"], "settled")
    assert Decimal(answer[0]["cost"]) == Decimal("0.05")


def test_a_call_of_an_unknown_organization_is_stale_even_without_epoch(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    stray = world.call("0.1", organization_id=str(uuid.uuid4()), epoch=None, periods=[])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        assert world.admit(gateway, [stray]) == ["stale"]


def test_a_cost_center_of_another_organization_is_stale(gateway_dsn: str) -> None:
    ours, theirs = make_world(limits=["1"]), make_world(limits=["1"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        stray = ours.call("0.1", cost_center_id=str(theirs.cost_center_id))
        assert ours.admit(gateway, [stray]) == ["stale"]
        assert ours.admit(gateway, [ours.call("0.1", department_id=str(uuid.uuid4()))]) == ["stale"]

    assert ours.figures()[0][2] == 0


@pytest.mark.parametrize("amount", ["-0.1", "NaN"])
def test_a_hold_that_is_no_amount_is_an_error(gateway_dsn: str, amount: str) -> None:
    world = make_world(limits=["1"], enforcement="warn")
    with (
        psycopg.connect(gateway_dsn, autocommit=True) as gateway,
        pytest.raises(psycopg.errors.DataError),
    ):
        world.admit(gateway, [world.call("0.2"), world.call(amount)])

    assert world.figures()[0][2] == 0


def test_control_without_telling_fresh_calls_apart_a_retry_holds_twice(
    gateway_dsn: str, owner_dsn: str
) -> None:
    def forgetful(sql: str) -> str:
        sql = sql.replace("u.id = ANY (fresh)", "u.id = ANY (ids)")
        return sql.replace(
            "WHERE is_fresh[u.n] AND verdict[u.n] = 'granted';",
            "WHERE is_fresh[u.n] AND verdict[u.n] = 'granted' ON CONFLICT DO NOTHING;",
        )

    world = make_world(limits=["1"])
    call = world.call("0.1")
    with (
        without(owner_dsn, "budgets/reservations/admit.sql", forgetful) as schema,
        psycopg.connect(gateway_dsn, autocommit=True) as gateway,
    ):
        for _ in range(2):
            world.admit(gateway, [call], function=f"{schema}.{ADMIT}")

    assert world.figures()[0][2] == Decimal("0.2")


def test_a_call_settled_twice_in_one_batch_is_charged_and_booked_once(gateway_dsn: str) -> None:
    world = make_world(limits=["1"])
    call = world.call("0.5")
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        world.admit(gateway, [call])
        unsure = {"id": call["id"], "state": "uncertain"}
        assert resolve(gateway, [unsure, settled(call, "0.2"), settled(call, "0.3")]) == ["done"]

    assert world.figures() == [(Decimal(1), Decimal("0.2"), Decimal(0), Decimal(0))]
    with tenant(world.organization_id):
        booked = LedgerEntry.objects.values_list("usd_amount", "call_count")
        assert list(booked) == [(Decimal("0.2"), 1)]
