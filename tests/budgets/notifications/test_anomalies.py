"""A found anomaly becomes one mail for each who is told, and says who made most of it."""

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from attribution.insights.models import Anomaly, Verdict
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Role
from budgets.channels.models import ChannelKind, Topic
from budgets.notifications import acknowledging, gathering, watching
from budgets.notifications.models import Notification
from budgets.notifications.words import wording
from tests.attribution.insights.days import Days
from tests.factories import make_member


def told(days: Days) -> list[Notification]:
    """Look, gather, and return the mails owed about anomalies."""
    with tenant(days.organization.pk):
        watching.look(timezone.now())
    gathering.gather(days.organization.pk)
    with tenant(days.organization.pk):
        mails = Notification.objects.filter(topic=Topic.ANOMALY, channel=ChannelKind.EMAIL)
        return list(mails)


def a_jump(**settings: str) -> Days:
    """Return an organization in which a key spent far more than usual yesterday."""
    days = Days(**settings)
    with tenant(days.organization.pk):
        make_member(role=Role.FINANCE)
    days.every_day(21, lambda ago: "200" if ago == 1 else "40", **days.key())
    days.look()
    return days


def test_it_is_told_once_though_day_hour_and_key_show_it(committed: None) -> None:
    days = a_jump()

    first, again = told(days), told(days)

    assert len(first) == len(again) == 1
    message = wording.told(Topic.ANOMALY, first[0].payload, now=timezone.now())
    assert "160" in message.subject
    assert any(value.startswith("API key key ") for _label, value in message.rows)
    with tenant(days.organization.pk):
        row = Anomaly.objects.get(is_alerting=True)
    assert message.path == f"/anomalies/{row.pk}/"


def test_a_small_one_stays_in_the_list_unmailed(committed: None) -> None:
    days = a_jump(anomaly_alert_usd="1000")

    assert days.by_day()
    assert told(days) == []


def test_one_that_grows_over_the_threshold_days_later_is_told(committed: None) -> None:
    days = a_jump(anomaly_alert_usd="250")
    with tenant(days.organization.pk):
        Anomaly.objects.update(found_at=days.at - timedelta(days=9))
    assert told(days) == []

    days.spend(1, "100")
    days.look()

    assert len(told(days)) == 1


def test_what_somebody_has_looked_at_is_told_no_more(committed: None) -> None:
    days = a_jump()
    with tenant(days.organization.pk):
        Anomaly.objects.update(status=Verdict.ACKNOWLEDGED)

    assert told(days) == []


def test_acknowledging_from_the_mail_acknowledges_the_anomaly(committed: None) -> None:
    days = a_jump()
    (mail,) = told(days)
    with tenant(days.organization.pk):
        engineer = make_member(role=Role.ENGINEER).user
    link = acknowledging.path(acknowledging.token(mail))
    stranger, reader = Client(), Client()
    stranger.force_login(engineer)
    assert mail.person is not None
    reader.force_login(mail.person)

    stranger.post(link)
    (before,) = days.by_day()
    reader.post(link)
    (after,) = days.by_day()

    assert (before.status, after.status) == (Verdict.NEW, Verdict.ACKNOWLEDGED)
    assert after.status_by_id == mail.person.pk
