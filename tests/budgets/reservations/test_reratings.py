"""A confirmed re-rating is carried on page by page, by whoever comes, until no call is left."""

import os
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.usage.models import UsageRecord
from budgets.limits.models import BudgetPeriod
from budgets.reservations import corrections, reratings
from budgets.reservations.models import Rerating
from budgets.tasks import carry_on_reratings_of
from tests.budgets.rerating import clean, priced, report, selection
from tests.factories import make_budget, make_organization, make_user

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)  # calls are kept to the millisecond


@pytest.fixture
def organization(committed: None) -> UUID:
    return make_organization().pk


def started(organization: UUID, now: datetime) -> UUID:
    with tenant(organization):
        make_budget(limit="100")
        report(*(now - timedelta(milliseconds=10 * n) for n in range(5)))
        priced(now, "2.5")
        by = Actor("user", make_user().pk)
        return reratings.start(selection(now), by=by, reason="the price came late").pk


def test_pages_follow_each_other_and_their_sums_are_kept(
    organization: UUID, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "PAGE", 2)
    started(organization, now)
    with tenant(organization):
        reratings.advance(Rerating.objects.get())
        half = Rerating.objects.get()

    reratings.carry_on(organization)
    reratings.carry_on(organization)

    assert (half.calls, half.finished_at) == (2, None)
    with tenant(organization):
        whole = Rerating.objects.get()
        assert (whole.calls, whole.unpriced, whole.tokens) == (5, 5, 5_500_000)
        assert (whole.was, whole.cost) == (Decimal(0), Decimal("17.5"))
        assert whole.finished_at is not None
        assert BudgetPeriod.objects.get().spent == Decimal("17.5")
        entries = AuditEntry.objects.filter(action="calls.rerated")
        assert {entry.actor_id for entry in entries} == {whole.actor_id}
        assert AuditEntry.objects.filter(action="rerating.started").count() == 1
    clean(organization)


def test_the_worker_carries_on_what_a_dead_one_left(organization: UUID, now: datetime) -> None:
    started(organization, now)

    carry_on_reratings_of(str(organization))

    with tenant(organization):
        assert not UsageRecord.objects.filter(cost=None).exists()


def test_what_another_worker_has_in_hand_is_not_waited_for(
    organization: UUID, now: datetime
) -> None:
    rerating = started(organization, now)
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT set_config('app.organization_id', %s, true)", [str(organization)])
        other.execute("SELECT 1 FROM rerating WHERE id = %s FOR UPDATE", [rerating])

        reratings.carry_on(organization)

    with tenant(organization):
        assert Rerating.objects.get().finished_at is None
