"""A summary comes once per person and span, at the hour that was chosen, with the right figures."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.tenancy.models import Membership, Role
from budgets.notifications import digests, spans
from budgets.notifications.models import Notification, Subscription
from budgets.notifications.words import wording
from tests.factories import (
    make_budget,
    make_call,
    make_cost_center,
    make_department,
    make_member,
    make_organization,
)

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("kind", "at", "first", "last", "due"),
    [
        ("daily", "2026-11-22T07:00Z", "2026-11-21", "2026-11-21", "2026-11-22T07:00Z"),
        ("daily", "2026-11-22T06:59Z", "2026-11-20", "2026-11-20", "2026-11-21T07:00Z"),
        ("weekly", "2026-11-25T12:00Z", "2026-11-16", "2026-11-22", "2026-11-23T07:00Z"),
        ("weekly", "2026-11-23T06:00Z", "2026-11-09", "2026-11-15", "2026-11-16T07:00Z"),
        ("monthly", "2026-11-22T12:00Z", "2026-10-01", "2026-10-31", "2026-11-01T07:00Z"),
        ("monthly", "2026-01-01T06:59Z", "2025-11-01", "2025-11-30", "2025-12-01T07:00Z"),
        ("daily", "2026-03-29T06:00Z", "2026-03-28", "2026-03-28", "2026-03-29T06:00Z"),
    ],
)
def test_the_newest_span_whose_hour_has_come(
    kind: str, at: str, first: str, last: str, due: str
) -> None:
    span = spans.newest(kind, hour=8, at=datetime.fromisoformat(at), zone=PARIS)

    assert (span.first.isoformat(), span.last.isoformat()) == (first, last)
    assert span.due_at == datetime.fromisoformat(due)


def subscribed(person: Membership, *, since: datetime, digest: str = "daily") -> Subscription:
    return Subscription.objects.create(person=person.user, digest=digest, changed_at=since)


@pytest.mark.django_db
def test_it_is_owed_once_however_often_and_by_whomever_it_is_asked_for() -> None:
    organization = make_organization(time_zone="Europe/Paris")
    at = datetime(2026, 11, 22, 9, tzinfo=UTC)
    with tenant(organization.pk):
        subscribed(make_member(role=Role.FINANCE), since=at.replace(hour=1))
        subscribed(make_member(role=Role.FINANCE), since=at, digest="weekly")

        counts = [digests.owe(at), digests.owe(at), digests.owe(at.replace(hour=23))]
        counts.append(digests.owe(at.replace(day=23)))

    assert counts == [1, 0, 0, 2]  # whoever chose after the hour waits for the next one


@pytest.mark.usefixtures("committed")
def test_it_tells_what_was_spent_how_budgets_stand_and_what_moved() -> None:
    organization, tomorrow = make_organization(name="Acme", time_zone="UTC"), morrow()
    with tenant(organization.pk):
        center = make_cost_center(code="RND", department=make_department(name="Engineering"))
        make_budget(limit="10", thresholds=["50"], name="all of it", period="year")
        subscribed(make_member(role=Role.FINANCE), since=timezone.now())
        make_call(cost="6", cost_center=center)
        make_call(cost="1")
    rollups.advance()
    with tenant(organization.pk):
        assert digests.owe(tomorrow) == 1
        payload = Notification.objects.get(topic="digest").payload
    with time_machine.travel(tomorrow):
        message = wording.told("digest", payload, now=tomorrow)

    assert Decimal(payload["spent"]) == 7
    budget = {"name": "all of it", "limit": "10", "actual": "7", "held": "0", "forecast": None}
    assert payload["budgets"] == [budget]
    assert [row["name"] for row in payload["departments"]] == ["Engineering", ""]
    assert [row["name"] for row in payload["movers"]] == ["RND", ""]
    assert [row["threshold"] for row in payload["alerts"]] == ["50"]
    assert message.subject.startswith("Acme, ")
    assert message.subject.endswith(": 7.00 USD spent, 1 alert")
    assert message.tables[0].rows[0][:4] == ("all of it", "10.00", "7.00", "70\N{NO-BREAK SPACE}%")


@pytest.mark.usefixtures("committed")
def test_a_manager_of_one_department_hears_of_it_alone() -> None:
    organization = make_organization(time_zone="UTC")
    with tenant(organization.pk):
        ours = make_department(name="ours")
        mine = make_cost_center(code="MINE", department=ours)
        make_budget(name="mine", scope="cost_center", scope_id=mine.pk)
        make_budget(name="theirs")
        person = make_member(role=Role.MANAGER, department=ours)
        make_call(cost="2", cost_center=mine)
        make_call(cost="5")
    rollups.advance()
    span = spans.newest("daily", hour=8, at=morrow(), zone=ZoneInfo("UTC"))
    with tenant(organization.pk):
        told = digests.figures(span, person, ZoneInfo("UTC"), at=span.due_at)

    assert Decimal(told["spent"]) == 2
    assert [row["name"] for row in told["budgets"]] == ["mine"]


def morrow() -> datetime:
    """Return nine o'clock of the day after today, of UTC."""
    return timezone.now().replace(hour=9, minute=0) + timedelta(days=1)
