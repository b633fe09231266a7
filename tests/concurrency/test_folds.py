"""Rollups of calls whose truth came late, and folds that cross."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.ledger.models import Facet, Grain, LatencyRollup, Rollup
from tests.concurrency.store import World, make_world, resolve, settled

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

TRUTH = {"provider": "anthropic", "model_billed": "m-2", "is_estimated": True, "total_ms": 900}


def rows(world: World) -> list[dict[str, Any]]:
    """Return the rollups of a world that are not empty, without their ids."""
    with tenant(world.organization_id):
        found = [*Rollup.objects.values(), *LatencyRollup.objects.values()]
    figures = ("calls", "usd_amount", "uncertain_amount")
    full = [row for row in found if any(row.get(name) for name in figures)]
    return sorted(({**row, "id": 0} for row in full), key=str)


def by_model(world: World) -> dict[tuple[str, str], tuple[object, ...]]:
    """Return spent, uncertain, calls, unpriced and estimated calls of each model that has any."""
    names = ("usd_amount", "uncertain_amount", "calls", "unpriced_calls", "estimated_calls")
    with tenant(world.organization_id):
        found = Rollup.objects.filter(facet=Facet.MODEL, grain=Grain.DAY)
        figures = {(row.provider, row.value): row for row in found}
    return {
        key: tuple(getattr(row, name) for name in names)
        for key, row in figures.items()
        if any(getattr(row, name) for name in names)
    }


def test_a_late_truth_leaves_nothing_under_the_model_it_was_held_for(gateway_dsn: str) -> None:
    world = make_world(limits=["9"])
    with psycopg.connect(gateway_dsn, autocommit=True) as gateway:
        calls = [world.call("0.5", provider="openai", model_requested="m") for _ in range(3)]
        world.admit(gateway, calls)
        unsure = [{"id": call["id"], "state": "uncertain", "total_ms": 5} for call in calls]
        resolve(gateway, unsure)
        rollups.advance()
        assert by_model(world) == {("", "m"): (0, Decimal("1.5"), 3, 0, 0)}

        unpriced = {**settled(calls[1], "0"), **TRUTH, "cost": None}
        released = {"id": calls[2]["id"], "state": "released"}
        resolve(gateway, [settled(calls[0], "0.2") | TRUTH, unpriced, released])
        rollups.advance()

    assert by_model(world) == {("anthropic", "m-2"): (Decimal("0.2"), 0, 2, 1, 2)}
    live = rows(world)
    rollups.rebuild()
    assert rows(world) == live


def test_a_fold_that_began_earlier_never_sets_the_watermark_back(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as owner:
        owner.execute(
            "UPDATE rollup_watermark SET xid = (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 99)::text::xid8"
        )
        (ahead,) = owner.execute("SELECT xid FROM rollup_watermark").fetchone() or (None,)
        owner.execute("SELECT attribution_rollups_advance('{}')")
        (after,) = owner.execute("SELECT xid FROM rollup_watermark").fetchone() or (None,)
        owner.rollback()

    assert ahead is not None
    assert after == ahead
