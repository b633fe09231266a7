"""What is owed goes out once: with many deliverers, after failures, with the same id each time."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connections
from django.db.models import QuerySet
from django.utils import timezone
from pytest_django import Settings

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization, Role
from budgets.alerts.models import Alert
from budgets.notifications import delivery, gathering, presence
from budgets.notifications.models import Notification
from budgets.reservations import holds
from budgets.reservations.holds import Call
from tests.factories import make_budget, make_call, make_member, make_organization

pytestmark = pytest.mark.usefixtures("committed")


class BrokenBackend(EmailBackend):
    """A mail server that answers nobody."""

    def send_messages(self, messages: object) -> int:
        """Refuse the connection."""
        raise ConnectionRefusedError("nobody listens")


def crossed() -> Organization:
    """Make an organization whose two people are owed a message."""
    organization = make_organization()
    with tenant(organization.pk):
        for role in (Role.OWNER, Role.FINANCE):
            make_member(role=role)
        make_budget(limit="1", thresholds=["80"], name="tight")
        make_call(cost="0.9")
    return organization


def mails() -> QuerySet[Notification]:
    """Return the e-mails that are owed or were sent."""
    return Notification.objects.filter(channel="email")


def side_by_side(count: int, work: Callable[[], int]) -> list[int]:
    """Run `work` in threads at the same time, each with connections of its own."""

    def run(_: int) -> int:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_everybody_is_told_once_however_many_deliver() -> None:
    organization = crossed()

    def both() -> int:
        gathering.gather(organization.pk)
        return delivery.deliver(organization.pk)

    sent = side_by_side(6, both)
    delivery.deliver(organization.pk)

    assert sum(sent) == 2
    assert len({message.to[0] for message in mail.outbox}) == len(mail.outbox) == 2


def test_a_threshold_is_crossed_once_by_calls_that_settle_at_the_same_time() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        make_member(role=Role.OWNER)
        make_budget(limit="8", thresholds=["50"], enforcement="warn")
        now = timezone.now()
        calls = [Call(holds.mint(now)) for _ in range(8)]
        for call in calls:
            holds.reserve(call, Decimal(1), at=now, worker_id=uuid.uuid4())
    waiting = list(calls)

    def settle() -> int:
        call = waiting.pop()
        with tenant(organization.pk):
            return holds.settle(call.id, Decimal(1))

    side_by_side(8, settle)
    gathering.gather(organization.pk)

    with tenant(organization.pk):
        assert Alert.objects.count() == 1
        assert mails().count() == 1


def test_a_failure_waits_and_is_tried_again_with_the_same_id(settings: Settings) -> None:
    organization = crossed()
    gathering.gather(organization.pk)
    good = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"{__name__}.BrokenBackend"

    assert delivery.deliver(organization.pk) == 0

    settings.EMAIL_BACKEND = good
    with tenant(organization.pk):
        late = mails()
        assert all("nobody listens" in row.last_error for row in late)
        assert all(row.available_at > timezone.now() for row in late)
        assert delivery.wait(1) <= timedelta(hours=24)
        late.update(available_at=timezone.now())
    assert delivery.deliver(organization.pk) == 2
    with tenant(organization.pk):
        ids = {f"<{row.pk}@" for row in mails()}
    assert {message.extra_headers["Message-ID"][:38] for message in mail.outbox} == ids


def test_a_message_whose_deliverer_died_is_delivered_when_its_lease_ends() -> None:
    organization = crossed()
    gathering.gather(organization.pk)
    with tenant(organization.pk):
        mine = mails()
        mine.update(claimed_until=timezone.now() + timedelta(seconds=60))
    assert delivery.deliver(organization.pk) == 0

    with tenant(organization.pk):
        mine.update(claimed_until=timezone.now() - timedelta(seconds=1))

    assert delivery.deliver(organization.pk) == 2


def test_waiting_doubles_with_jitter_up_to_six_hours() -> None:
    assert timedelta(seconds=15) <= delivery.wait(1) <= timedelta(seconds=30)
    assert timedelta(hours=3) <= delivery.wait(50) <= timedelta(hours=6)


def test_what_a_deliverer_that_died_had_claimed_is_delivered_at_once() -> None:
    organization = crossed()
    gathering.gather(organization.pk)
    with presence.held() as alive, tenant(organization.pk):
        mails().update(claimed_until=timezone.now() + timedelta(minutes=5), claimed_by=alive)
        first = mails().earliest("id")
        mails().filter(pk=first.pk).update(claimed_by=(alive + 1) % 2**31)

    with_both_dead = delivery.deliver(organization.pk)

    assert with_both_dead == 2


def test_what_a_deliverer_that_lives_has_claimed_is_left_alone() -> None:
    organization = crossed()
    gathering.gather(organization.pk)
    with presence.held() as alive:
        with tenant(organization.pk):
            mails().update(claimed_until=timezone.now() + timedelta(minutes=5), claimed_by=alive)

        assert delivery.deliver(organization.pk) == 0

    assert delivery.deliver(organization.pk) == 2


def test_it_is_given_up_visibly_after_a_day(settings: Settings) -> None:
    organization = crossed()
    gathering.gather(organization.pk)
    with tenant(organization.pk):
        mails().update(created_at=timezone.now() - timedelta(hours=25))
    settings.EMAIL_BACKEND = f"{__name__}.BrokenBackend"

    delivery.deliver(organization.pk)

    with tenant(organization.pk):
        assert all(row.given_up_at is not None and row.done_at is None for row in mails())
        mails().update(available_at=timezone.now())
    assert delivery.deliver(organization.pk) == 0


def test_no_transaction_is_open_while_the_mail_server_is_waited_for(
    settings: Settings, platform_dsn: str
) -> None:
    organization = crossed()
    gathering.gather(organization.pk)
    settings.EMAIL_BACKEND = f"{__name__}.WatchingBackend"
    WatchingBackend.dsn, WatchingBackend.seen = platform_dsn, []

    assert delivery.deliver(organization.pk) == 2

    assert WatchingBackend.seen == [0, 0]


class WatchingBackend(EmailBackend):
    """Notes how many transactions of the application are open when it is asked to send."""

    dsn = ""
    seen: list[int] = []

    def send_messages(self, messages: object) -> int:
        """Look from outside."""
        with psycopg.connect(self.dsn) as outside:
            (count,) = outside.execute(
                "SELECT count(*) FROM pg_locks WHERE relation = 'notification'::regclass"
            ).fetchone() or (None,)
        self.seen.append(count)
        return 1
