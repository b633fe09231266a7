"""The short form of the races; the long one is `python -m tests.concurrency.races`."""

from collections.abc import Callable

import pytest

from tests.concurrency import http_races, races
from tests.concurrency.report import Found
from tests.concurrency.store import ADMIT, without

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]

LOCK = "ORDER BY b.id FOR NO KEY UPDATE) l;"
FILE = "budgets/reservations/admit.sql"


def test_races_with_random_costs_and_moving_limits_keep_every_answer_exact(
    gateway_dsn: str, owner_dsn: str
) -> None:
    found = races.run((gateway_dsn, owner_dsn), seed=20261122, races=range(25))

    assert found.breaches == []
    assert (found.races, found.calls) == (25, 12_500)
    assert set(found.outcomes) == {"granted", "budget_reserved", "budget_exceeded"}
    assert found.used_up > 0


def test_races_through_two_gateways_pass_no_limit_and_refuse_nothing_that_fits(
    owner_dsn: str,
) -> None:
    found = http_races.run(owner_dsn, seed=7, races=2, gateways=2, calls=150)

    assert found.breaches == []
    assert (found.races, found.used_up) == (2, 2)
    assert found.outcomes["200"] > 0


def harmed(gateway_dsn: str, owner_dsn: str, change: Callable[[str], str]) -> Found:
    """Race through an admission with a line changed."""
    with without(owner_dsn, FILE, change) as schema:
        return races.run(
            (gateway_dsn, owner_dsn), seed=1, races=range(6), admit=f"{schema}.{ADMIT}"
        )


def test_control_races_see_a_missing_lock(gateway_dsn: str, owner_dsn: str) -> None:
    found = harmed(gateway_dsn, owner_dsn, lambda sql: sql.replace(LOCK, "ORDER BY b.id) l;"))

    assert found.breach_count > 0


def test_control_races_see_a_phantom_refusal(gateway_dsn: str, owner_dsn: str) -> None:
    found = harmed(
        gateway_dsn,
        owner_dsn,
        lambda sql: sql.replace(
            "IF q_room[k] >= amounts[i] THEN", "IF q_room[k] > amounts[i] THEN"
        ),
    )

    assert any("instead of granted" in one or "then" in one for one in found.breaches)


def test_control_races_see_a_limit_that_acts_late(gateway_dsn: str, owner_dsn: str) -> None:
    found = harmed(
        gateway_dsn,
        owner_dsn,
        lambda sql: sql.replace("PERFORM budgets_follow(q_due);", "NULL;"),
    )

    assert any("a limit of" in one for one in found.breaches)
