"""Rollups follow the ledger by transaction, whatever order entries are committed in."""

import uuid
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db import ProgrammingError
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.ledger.models import Grain, LedgerEntry, Rollup
from attribution.tenancy.models import Organization
from tests.concurrency.store import World, make_world, resolve, settled

pytestmark = pytest.mark.usefixtures("committed")


def rolled_up(world: World) -> Decimal:
    with tenant(world.organization_id):
        amounts = Rollup.objects.filter(facet="model", grain="hour").values_list(
            "usd_amount", flat=True
        )
        return sum(amounts, Decimal(0))


def posted(world: World) -> Decimal:
    with tenant(world.organization_id):
        amounts = LedgerEntry.objects.values_list("usd_amount", flat=True)
        return sum((amount or Decimal(0) for amount in amounts), Decimal(0))


def everything(world: World) -> list[tuple[object, ...]]:
    with tenant(world.organization_id):
        names = [field.attname for field in Rollup._meta.concrete_fields if field.name != "id"]
        return sorted(Rollup.objects.values_list(*names), key=str)


def days(world: World) -> set[date]:
    with tenant(world.organization_id):
        buckets = Rollup.objects.filter(grain=Grain.DAY).values_list("bucket", flat=True)
        return {bucket.date() for bucket in buckets}


def admitted(world: World, gateway: psycopg.Connection, count: int) -> list[dict[str, str]]:
    calls = [world.call("0.5") for _ in range(count)]
    assert world.admit(gateway, calls) == ["granted"] * count
    return calls


def test_entries_that_commit_late_are_folded_once(gateway_dsn: str) -> None:
    world = make_world(limits=[])
    with psycopg.connect(gateway_dsn) as early, psycopg.connect(gateway_dsn) as late:
        first, second = admitted(world, early, 2)
        early.commit()
        resolve(early, [settled(first, "0.1")])  # its entry is written first, committed last
        resolve(late, [settled(second, "0.2")])
        late.commit()
        rollups.advance()
        early.commit()

    rollups.advance()
    rollups.advance()

    assert rolled_up(world) == posted(world) == Decimal("0.3")


def test_control_a_watermark_over_entry_ids_loses_what_commits_late(gateway_dsn: str) -> None:
    world = make_world(limits=[])
    folded: Decimal = Decimal(0)
    last = uuid.UUID(int=0)

    def fold_by_id() -> None:
        nonlocal folded, last
        with tenant(world.organization_id):
            for entry in LedgerEntry.objects.filter(id__gt=last).order_by("id"):
                folded, last = folded + (entry.usd_amount or 0), entry.id

    with psycopg.connect(gateway_dsn) as early, psycopg.connect(gateway_dsn) as late:
        first, second = admitted(world, early, 2)
        early.commit()
        resolve(early, [settled(first, "0.1")])
        resolve(late, [settled(second, "0.2")])
        late.commit()
        fold_by_id()
        early.commit()
    fold_by_id()

    assert posted(world) == Decimal("0.3")
    assert folded == Decimal("0.2")


def test_rebuilt_rollups_equal_those_that_were_advanced(gateway_dsn: str) -> None:
    world = make_world(limits=[])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        for number, call in enumerate(admitted(world, gateway, 6)):
            line = {"token_class": "input", "quantity": str(number), "usd_amount": "0.01"}
            end = settled(call, "0.01") | {"lines": [line], "total_ms": 10 * number}
            resolve(gateway, [end | {"model_billed": f"m{number % 2}", "provider": "openai"}])
            rollups.advance()
        (lost,) = admitted(world, gateway, 1)
        resolve(gateway, [{"id": lost["id"], "state": "uncertain"}])
        rollups.advance()
        live = everything(world)

        rollups.rebuild()

    assert everything(world) == live
    assert live


def test_a_changed_time_zone_recuts_days_and_months_and_nothing_else(gateway_dsn: str) -> None:
    world, other = make_world(limits=[]), make_world(limits=[])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        for served in (world, other):
            (call,) = admitted(served, gateway, 1)
            resolve(gateway, [settled(call, "0.01")])
    rollups.advance()
    theirs, before = everything(other), days(world)
    with tenant(world.organization_id):
        zone = "Pacific/Kiritimati" if timezone.now().hour >= 10 else "Pacific/Pago_Pago"
        Organization.objects.update(time_zone=zone)

    assert rollups.recut(world.organization_id) > 0

    assert days(world) == {timezone.now().astimezone(ZoneInfo(zone)).date()} != before
    assert everything(other) == theirs
    assert rollups.recut(world.organization_id) == 0
    live = everything(world)
    rollups.rebuild()
    assert everything(world) == live


def test_only_the_ledger_may_write_rollups() -> None:
    world = make_world(limits=["1"])

    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        tenant(world.organization_id),
    ):
        Rollup.objects.all().delete()
