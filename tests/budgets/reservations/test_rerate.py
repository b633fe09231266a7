"""The database's own guards of a re-rating: shut months, other organizations, calls that moved."""

import os
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.ledger.models import LedgerEntry
from attribution.usage.models import UsageRecord
from budgets.limits.models import BudgetPeriod
from tests.budgets.rerating import (
    RERATE,
    applied,
    ask,
    clean,
    previewed,
    priced,
    report,
    selection,
    shut,
    stale,
)
from tests.concurrency.store import without
from tests.factories import make_budget, make_organization

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)  # calls are kept to the millisecond


@pytest.fixture
def organization(committed: None) -> UUID:
    return make_organization().pk


@pytest.mark.parametrize("state", ["reconciled", "closed"])
def test_calls_of_a_shut_month_stay_as_they_are(
    organization: UUID, now: datetime, state: str
) -> None:
    month = now.astimezone(UTC).date().replace(day=1)
    with tenant(organization):
        budget = make_budget(limit="100")
        (call,) = report(now)
        priced(now, "2.5")
        shut(month, state)

    shown = previewed(organization, selection(now))
    done = applied(organization, selection(now))

    assert shown.kept == done.kept == {"shut month": 1}
    with tenant(organization):
        assert ask(organization, [stale(call)]) == "shut"  # the database says so by itself
        assert UsageRecord.objects.get().cost is None
        assert not LedgerEntry.objects.filter(kind="rerate").exists()
        assert BudgetPeriod.objects.get(budget=budget).spent == 0
        shut(month, "reopened")
    assert applied(organization, selection(now)).total.calls == 1
    clean(organization)


def test_control_without_the_guard_a_shut_month_moves(
    organization: UUID, now: datetime, owner_dsn: str
) -> None:
    with tenant(organization):
        (call,) = report(now)
        shut(now.astimezone(UTC).date().replace(day=1), "closed")

    with (
        without(owner_dsn, RERATE, lambda sql: sql.replace("a.state IN", "a.state NOT IN")) as weak,
        tenant(organization),
    ):
        outcome = ask(organization, [stale(call)], function=f"{weak}.budgets_rerate")

    assert outcome == "done"


def test_a_month_is_not_shut_while_it_is_re_rated(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        (call,) = report(now)
        ask(organization, [stale(call)])
        with psycopg.connect(os.environ["DATABASE_URL"]) as closing:
            free = closing.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 13))",
                [f"{organization} {now.astimezone(UTC):%Y-%m}"],
            ).fetchone()

    assert free == (False,)


def test_nobody_re_rates_the_calls_of_another_organization(
    organization: UUID, now: datetime
) -> None:
    with tenant(organization):
        (call,) = report(now)

    with tenant(make_organization().pk):
        outcome = ask(organization, [stale(call)])

    assert outcome == "noop"
    with tenant(organization):
        assert UsageRecord.objects.get().cost is None


def test_control_without_the_tenant_guard_another_organization_is_re_rated(
    organization: UUID, now: datetime, owner_dsn: str
) -> None:
    with tenant(organization):
        (call,) = report(now)

    with (
        without(owner_dsn, RERATE, lambda sql: sql.replace("org = served", "true")) as weak,
        tenant(make_organization().pk),
    ):
        assert ask(organization, [stale(call)], function=f"{weak}.budgets_rerate") == "done"


def test_a_call_that_moved_meanwhile_is_left_alone(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        (call,) = report(now)
        priced(now, "2")
        outcomes = [
            ask(organization, [stale(call, was_cost="1")]),
            ask(organization, [stale(call)]),
            ask(organization, [stale(call)]),
            ask(uuid4(), [stale(call, was_cost="2", cost="3")]),
        ]
        cost = UsageRecord.objects.get().cost

    assert outcomes == ["noop", "done", "noop", "noop"]
    assert cost == Decimal(2)
