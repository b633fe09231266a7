"""Raises and unusual spend are found and told once each."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from attribution.insights.models import Anomaly
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization, Role
from budgets.alerts import raising
from budgets.alerts.raising import Event
from budgets.limits.amounts import BudgetOverride
from budgets.notifications import gathering, watching
from budgets.notifications.models import Notification
from budgets.notifications.words import wording
from tests.factories import make_budget, make_cost_center, make_member, make_organization

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
NAMED = {"dimension": "api_key", "value": "1", "name": "batch job", "change": "120"}


def subjects(organization: Organization, at: datetime) -> list[str]:
    """Return what the one person of the organization reads in the pages."""
    gathering.gather(organization.pk)
    with tenant(organization.pk):
        notes = Notification.objects.filter(channel="in_app").order_by("topic", "created_at")
        return [wording.told(one.topic, one.payload, now=at).subject for one in notes]


def raised(at: datetime, *, days: int, ago: int = 0) -> BudgetOverride:
    return BudgetOverride.objects.create(
        budget=make_budget(name="RND"),
        amount=Decimal(250),
        starts_at=at - ago * DAY,
        ends_at=at + days * DAY,
        reason="launch",
        approved_at=at - ago * DAY,
    )


def test_a_granted_raise_is_told_once() -> None:
    organization, at = make_organization(), timezone.now()
    with tenant(organization.pk):
        make_member(role=Role.FINANCE)
        raised(at, days=7)

        found = [watching.look(at), watching.look(at)]

    assert found == [1, 0]
    (subject,) = subjects(organization, at)
    assert subject.startswith("RND: limit raised by 250 USD until ")


def test_a_raise_that_ends_within_a_day_is_told_of_but_not_one_made_for_a_day() -> None:
    organization, at = make_organization(), timezone.now()
    with tenant(organization.pk):
        make_member(role=Role.FINANCE)
        ending = raised(at, days=1, ago=9)
        BudgetOverride.objects.create(
            budget=ending.budget,
            amount=Decimal(1),
            starts_at=at,
            ends_at=at + DAY / 2,
            reason="short",
            approved_at=at - 4 * DAY,
            revoked_at=at,
        )

        assert watching.look(at) == 1

    (subject,) = subjects(organization, at)
    assert subject.startswith("RND: raise of 250 USD ends ")


def test_an_alerting_anomaly_is_told_and_a_small_or_judged_one_is_not() -> None:
    organization, at = make_organization(), timezone.now()
    with tenant(organization.pk):
        make_member(role=Role.FINANCE)
        center = make_cost_center(code="RND")
        for is_alerting, status in ((True, "new"), (False, "new"), (True, "expected")):
            Anomaly.objects.create(
                cost_center=center,
                model=f"gpt-4.1-{status}-{is_alerting}",
                starts_at=at - DAY,
                ends_at=at,
                expected=Decimal(40),
                actual=Decimal(200),
                impact=Decimal(160),
                is_alerting=is_alerting,
                reason={"volume": "160", "named": [NAMED]},
                status=status,
                found_at=at,
            )

        found = [watching.look(at), watching.look(at + DAY)]

    assert found == [1, 0]
    (subject,) = subjects(organization, at)
    assert subject == "RND: 160 USD more than expected on gpt-4.1-new-True"
    with tenant(organization.pk):
        payload = Notification.objects.get(channel="in_app").payload
    rows = dict(wording.told("anomaly.found", payload, now=at).rows)
    assert rows["Most of it"] == "API key batch job"
    assert rows["Because of more or fewer calls"] == "160 USD"


@pytest.mark.parametrize(
    ("topic", "payload", "said"),
    [
        (raising.RECOVERED, {"from": "warning"}, "RND: below its thresholds again"),
        (raising.RECOVERED, {"from": "no_data"}, "RND: calls are coming again"),
        (raising.NO_DATA, {"silent_since": "2026-11-20"}, "RND: no calls since 20 Nov 2026"),
    ],
)
def test_the_way_back_and_silence_are_told(topic: str, payload: dict[str, str], said: str) -> None:
    organization, at = make_organization(), timezone.now()
    with tenant(organization.pk):
        make_member(role=Role.FINANCE)
        budget = make_budget(name="RND", limit="200")
        period = budget.periods.order_by("starts_at").first()
        assert period is not None
        facts = {"period_id": period.pk, "limit": "200", "actual": "50", **payload}
        raising.tell([Event(topic, "one", facts)])

    (subject,) = subjects(organization, at)
    assert subject.startswith(said)
