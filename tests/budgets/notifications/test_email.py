"""The first e-mail says the fact in its subject and everything else under it, in the reader's language."""

from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.utils import translation

from attribution.isolation.transaction import tenant
from attribution.templatetags.tollkeeper import share_text
from attribution.tenancy.models import Organization, Role
from budgets.alerts.models import Alert
from budgets.limits.models import BudgetPeriod
from budgets.notifications import delivery, email, gathering
from tests.factories import (
    make_budget,
    make_call,
    make_cost_center,
    make_member,
    make_organization,
    make_user,
)

pytestmark = pytest.mark.django_db


def told(*, language: str = "", **budget: Any) -> mail.EmailMultiAlternatives:
    organization = make_organization(name="Acme", time_zone="Europe/Paris")
    with tenant(organization.pk):
        make_member(role=Role.FINANCE, user=make_user(language=language))
        make_budget(**{"name": "RND", "limit": "2000", "thresholds": ["80"], **budget})
        make_call(cost="1604")
    gathering.gather(organization.pk)
    delivery.deliver(organization.pk)
    (message,) = mail.outbox
    assert isinstance(message, mail.EmailMultiAlternatives)
    return message


def test_the_subject_is_the_fact() -> None:
    message = told(period="year")

    assert message.subject.startswith("RND: 80 % of 20")
    assert message.subject.endswith(" budget used (1,604 of 2,000 USD)")
    assert message.subject.isascii()


def test_both_forms_say_amount_limit_time_and_where_to_look() -> None:
    message = told()
    html = str(message.alternatives[0][0])

    for text in (str(message.body), html):
        assert "RND" in text
        assert "1,604" in text
        assert "2,000" in text
        assert "396" in text
        assert "Europe/Paris" in text
        assert "range=month" in text
    assert str(message.body).startswith("Calls will be refused when it is used up")
    assert 'width="600"' in html
    assert '<td width="80%"' in html
    assert 'width="20%"' in html


def test_the_button_leads_to_the_cost_center() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        center = make_cost_center(code="MARKETING")
        budget = make_budget(scope="cost_center", scope_id=center.pk)
        period = budget.periods.order_by("starts_at").first()
        assert period is not None
        alert = Alert(budget_period=period, limit_at=Decimal(1), actual_at=Decimal(1))
        facts = email.Facts(alert, period, organization)

        assert email._link(facts).endswith("/?range=month&cost_center=MARKETING")


@pytest.mark.parametrize(
    ("kind", "name"), [("month", "November"), ("quarter", "Q4 2026"), ("year", "2026")]
)
def test_a_period_is_called_what_people_call_it(kind: str, name: str) -> None:
    with time_machine.travel("2026-11-22T12:00:00Z"), tenant(make_organization().pk):
        budget = make_budget(period=kind)
        period = budget.periods.order_by("starts_at").first()
        assert period is not None

        with translation.override("en"):
            assert email.period_text(period) == name


@pytest.mark.parametrize(
    ("limit", "actual", "shown"),
    [("1", "0.999", "99"), ("1", "1", "100"), ("0", "1", "100"), ("8", "0.42", "5.2")],
)
def test_what_is_not_used_up_does_not_read_as_used_up(limit: str, actual: str, shown: str) -> None:
    alert = Alert(limit_at=Decimal(limit), actual_at=Decimal(actual))
    facts = email.Facts(alert, BudgetPeriod(), Organization())

    with translation.override("en"):
        assert share_text(facts.share).startswith(shown)
