"""Filtered budgets at the store layer, and what happens without the line that judges targets."""

from collections.abc import Callable

import psycopg
import pytest

from attribution.isolation.transaction import tenant
from budgets.reservations import books
from tests.concurrency.store import make_world, resolve, settled, without

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]


def misled(owner_dsn: str, gateway_dsn: str, change: Callable[[str], str]) -> tuple[str, list[str]]:
    """Settle a call at another target by a changed function: what the period took, and what the books say."""
    world = make_world(limits=["1"], filters=[{"providers": ["acme"]}])
    with (
        without(owner_dsn, "budgets/reservations/resolve.sql", change) as schema,
        psycopg.connect(gateway_dsn, autocommit=True) as gateway,
    ):
        call = world.call("0.2")
        assert world.admit(gateway, [call]) == ["granted"]
        end = {**settled(call, "0.1"), "provider": "other", "provider_model": "large"}
        resolve(gateway, [end], function=f"{schema}.budgets_settle")
    [(_, spent, held, _)] = world.figures()
    assert held == 0
    with tenant(world.organization_id):
        return f"{spent:.1f}", [breach.meaning for breach in books.verify()]


def test_control_without_the_judgement_a_filtered_budget_pays_for_others(
    owner_dsn: str, gateway_dsn: str
) -> None:
    judged = misled(owner_dsn, gateway_dsn, lambda sql: sql.replace("-- Moves", "--  Moves"))
    unjudged = misled(
        owner_dsn,
        gateway_dsn,
        lambda sql: sql.replace("AND 'settled' = ANY (becomes) THEN", "AND false THEN"),
    )

    assert judged == ("0.0", [])
    assert unjudged == ("0.1", ["a call counts in a budget for others"])
