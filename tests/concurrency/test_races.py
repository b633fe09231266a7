"""The short form of the races; the long one is `python -m tests.concurrency.races`."""

import os

import pytest

from tests.concurrency import races

pytestmark = [pytest.mark.concurrency, pytest.mark.usefixtures("committed")]


def test_races_with_random_costs_and_lowered_limits_keep_every_figure_exact() -> None:
    found = races.run(os.environ["DATABASE_URL"], rounds=150, seed=20261122)

    assert found.breaches == []
    assert found.worst_room >= 0
    assert set(found.outcomes) == {"granted", "budget_reserved", "budget_exceeded"}
