"""Whoever changes many limits waits for settles in their order; one by one they would deadlock."""

import threading
import time

import psycopg
import pytest
from django.db import OperationalError, connections

from attribution.isolation.transaction import tenant
from budgets.limits import revisions
from budgets.limits.models import BudgetPeriod
from tests.factories import make_budget, make_organization

LOCK = "SELECT id FROM budget_period WHERE id = %s FOR NO KEY UPDATE"


@pytest.mark.parametrize("is_at_once", [True, False])
def test_changing_many_limits_meets_a_settle(
    committed: None,
    owner_dsn: str,
    is_at_once: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        budgets = [make_budget(limit="10", name=name) for name in "ab"]
        first, second = (BudgetPeriod.objects.filter(budget=b).earliest("pk").pk for b in budgets)
    fates: list[str] = []

    def change() -> None:
        try:
            with tenant(organization.pk):
                if is_at_once:
                    revisions.relimit_all(reversed(budgets))
                for budget in reversed(budgets):
                    revisions.relimit(budget)
        except OperationalError:
            fates.append("deadlock")
        finally:
            connections.close_all()

    with psycopg.connect(owner_dsn) as settle:  # takes periods in the order of their ids
        settle.execute(
            "SELECT set_config('app.organization_id', %s, true), set_config('app.ledger', 'on', true)",
            [str(organization.pk)],
        )
        settle.execute(LOCK, [first])
        changing = threading.Thread(target=change)
        changing.start()
        time.sleep(0.7)
        try:
            settle.execute(LOCK, [second])
        except psycopg.errors.DeadlockDetected:
            fates.append("deadlock")
        settle.rollback()
        changing.join()

    assert fates == ([] if is_at_once else ["deadlock"])
