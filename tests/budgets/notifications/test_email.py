"""An e-mail says the fact in its subject and everything else under it, in the reader's language."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.utils import timezone, translation

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization, Role
from budgets.notifications import delivery, gathering
from budgets.notifications.facts import about_period
from budgets.notifications.models import Notification
from budgets.notifications.words import periods
from budgets.notifications.words.message import percent, share_of
from tests.factories import make_budget, make_call, make_member, make_organization, make_user

pytestmark = pytest.mark.django_db


def told(
    *, organization: Organization | None = None, language: str = "", **budget: Any
) -> mail.EmailMultiAlternatives:
    organization = organization or make_organization(name="Acme", time_zone="Europe/Paris")
    with tenant(organization.pk):
        make_member(role=Role.FINANCE, user=make_user(language=language))
        make_budget(**{"name": "RND", "limit": "2000", "thresholds": ["80"], **budget})
        make_call(cost="1604")
    gathering.gather(organization.pk)
    delivery.deliver(organization.pk)
    (message,) = mail.outbox
    assert isinstance(message, mail.EmailMultiAlternatives)
    return message


def forms_of(message: mail.EmailMultiAlternatives) -> tuple[str, str]:
    """Return the text and the HTML of a message."""
    return str(message.body), str(message.alternatives[0][0])


def test_the_subject_is_the_fact() -> None:
    message = told(period="year")

    assert message.subject.startswith("RND: 80 % of 20")
    assert message.subject.endswith(" budget used (1,604 of 2,000 USD)")
    assert message.subject.isascii()


def test_both_forms_say_amount_limit_time_and_where_to_look() -> None:
    message = told()
    text, html = forms_of(message)

    for form in (text, html):
        for fact in ("RND", "1,604", "2,000", "396", "Europe/Paris", "less than a minute old"):
            assert fact in form
        assert re.search(r"/budgets/[0-9a-f-]{36}/", form)
        assert "/notifications/acknowledge/" in form
        assert "/notifications/settings/" in form
    assert text.startswith("Calls will be refused when it is used up")
    assert 'width="600"' in html
    assert '<td width="80%"' in html
    assert 'width="20%"' in html


def test_a_name_is_text_and_never_markup() -> None:
    message = told(name="<b>R&D</b>")
    text, html = forms_of(message)

    assert "&lt;b&gt;R&amp;D&lt;/b&gt;" in html
    assert "<b>R" not in html
    assert "<b>R&D</b>" in text


def test_a_mail_read_late_tells_how_old_its_figures_are() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        make_member(role=Role.OWNER)
        make_budget(limit="1", thresholds=["80"])
        make_call(cost="0.9")
    gathering.gather(organization.pk)

    with time_machine.travel(timezone.now() + timedelta(hours=3), tick=False):
        delivery.deliver(organization.pk)

    assert "3 hours old" in str(mail.outbox[0].body)


def test_an_attempt_later_says_the_same_figures_under_the_same_id() -> None:
    organization = make_organization()
    first = told(organization=organization)
    with tenant(organization.pk):
        Notification.objects.filter(channel="email").update(done_at=None)
        make_call(cost="100")

    delivery.deliver(organization.pk)

    again = mail.outbox[1]
    assert again.extra_headers["Message-ID"] == first.extra_headers["Message-ID"]
    assert again.subject == first.subject


@pytest.mark.parametrize(
    ("kind", "name"), [("month", "November"), ("quarter", "Q4 2026"), ("year", "2026")]
)
def test_a_period_is_called_what_people_call_it(kind: str, name: str) -> None:
    with time_machine.travel("2026-11-22T12:00:00Z"), tenant(make_organization().pk):
        budget = make_budget(period=kind)
        period = budget.periods.order_by("starts_at").first()
        assert period is not None

        with translation.override("en"):
            assert periods.named(about_period(period)["period"]) == name


@pytest.mark.parametrize(
    ("limit", "actual", "shown"),
    [("1", "0.999", "99"), ("1", "1", "100"), ("0", "1", "100"), ("8", "0.42", "5.2")],
)
def test_what_is_not_used_up_does_not_read_as_used_up(limit: str, actual: str, shown: str) -> None:
    share = share_of(Decimal(actual), Decimal(limit))

    with translation.override("en"):
        assert percent(share).startswith(shown)
