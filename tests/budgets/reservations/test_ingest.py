"""Calls made elsewhere: once for ever, at the price and in the budgets of their own time."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.ledger.models import LedgerEntry
from attribution.prices.tokens import Tokens
from attribution.tenancy.models import Organization
from attribution.usage.models import UsageRecord
from budgets.alerts.models import Alert
from budgets.limits.models import BudgetPeriod
from budgets.reservations import books, ingest
from budgets.reservations.ingest import Event, Recorded
from tests.factories import make_budget, make_cost_center, make_organization, make_price

pytestmark = pytest.mark.django_db
OLD = datetime(2020, 1, 1, tzinfo=UTC)


def event(event_id: str = "1", *, at: datetime | None = None, **columns: Any) -> Event:
    values = {"model": "m", "provider": "openai", "tokens": Tokens(input=1000, output=500)}
    return Event("sdk", event_id, at or timezone.now(), **{**values, **columns})


def call_of(answer: Recorded) -> UsageRecord:
    assert answer.call_id is not None
    return UsageRecord.objects.get(pk=answer.call_id)


def priced(price: str = "2", *, at: datetime = OLD, until: datetime | None = None) -> None:
    make_price(
        model="m",
        rates={"base": {"input": price, "output": price}},
        effective_from=at,
        effective_to=until,
    )


def test_a_call_is_settled_at_once_with_a_line_per_token_class() -> None:
    with tenant(make_organization().pk):
        priced("2")

        (answer,) = ingest.record([event()])

        assert (answer.result, answer.cost) == ("recorded", Decimal("0.003"))
        call = call_of(answer)
        assert (call.state, call.cost, call.source) == ("settled", Decimal("0.003"), "sdk")
        entries = LedgerEntry.objects.filter(usage_id=call.pk).order_by("token_class")
        assert list(entries.values_list("token_class", "usd_amount", "call_count")) == [
            ("input", Decimal("0.002"), 1),
            ("output", Decimal("0.001"), 0),
        ]
        assert not books.verify()


def test_a_repeat_changes_nothing_and_names_the_first_call() -> None:
    with tenant(make_organization().pk):
        priced()
        make_budget(limit="10")
        (first,) = ingest.record([event()])

        answers = ingest.record([event(), event("2"), event("2")])

        assert [answer.result for answer in answers] == ["duplicate", "recorded", "duplicate"]
        assert answers[0].call_id == first.call_id
        assert UsageRecord.objects.count() == 2
        assert BudgetPeriod.objects.get().spent == Decimal("0.006")
        assert not books.verify()


def test_a_call_costs_what_its_own_time_did() -> None:
    now = timezone.now()
    with tenant(make_organization().pk):
        priced("1", until=now - timedelta(hours=1))
        priced("9", at=now - timedelta(hours=1))

        before, after = ingest.record([event("1", at=now - timedelta(hours=2)), event("2", at=now)])

        assert (before.cost, after.cost) == (Decimal("0.0015"), Decimal("0.0135"))


def test_what_has_happened_may_pass_a_limit_and_raises_its_alert_once() -> None:
    with tenant(make_organization().pk):
        priced("1000")
        make_budget(limit="1", enforcement="block", thresholds=["80", "100"])

        ingest.record([event("1"), event("2")])
        ingest.record([event("3")])

        assert BudgetPeriod.objects.get().spent == Decimal("4.5")
        assert Alert.objects.count() == 2
        assert not books.verify()


def test_an_unknown_model_is_unpriced_and_its_tokens_are_counted() -> None:
    with tenant(make_organization().pk):
        (answer,) = ingest.record([event(model="nobody-knows")])

        assert (answer.result, answer.cost) == ("recorded", None)
        assert UsageRecord.objects.get().cost is None
        assert not books.verify()


def test_a_stated_cost_wins_over_the_price_list() -> None:
    with tenant(make_organization().pk):
        priced()

        (answer,) = ingest.record([event(cost=Decimal("0.07"))])

        assert answer.cost == Decimal("0.07")
        assert UsageRecord.objects.get().cost_source == "provider"
        assert not books.verify()


def test_the_wrong_time_is_rejected_and_the_rest_recorded() -> None:
    now = timezone.now()
    with tenant(make_organization(retention_days=30).pk):
        early = event("1", at=now - timedelta(days=31))
        late = event("2", at=now + timedelta(seconds=30))

        answers = ingest.record([early, event("3"), late])

        assert [(answer.result, answer.error) for answer in answers] == [
            ("rejected", "too_old"),
            ("recorded", ""),
            ("rejected", "in_the_future"),
        ]


def test_an_unknown_cost_center_is_refused_or_booked_to_the_default_and_flagged() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        default = make_cost_center()
        (refused,) = ingest.record([event("1", cost_center="NOBODY")])
        Organization.objects.filter(pk=organization.pk).update(
            unknown_cost_center="default", default_cost_center_id=default.pk
        )

        (booked,) = ingest.record([event("1", cost_center="NOBODY")])

        assert (refused.result, refused.error) == ("rejected", "unknown_cost_center")
        call = call_of(booked)
        assert (call.cost_center_id, call.is_attribution_flagged) == (default.pk, True)


def test_a_call_counts_in_the_budgets_that_cover_it_at_its_own_time() -> None:
    now = timezone.now()
    with tenant(make_organization().pk):
        priced()
        center, other = make_cost_center(code="A"), make_cost_center(code="B")
        ours = make_budget(scope="cost_center", scope_id=center.pk, period="day")
        theirs = make_budget(scope="cost_center", scope_id=other.pk, period="day")
        made = [
            event("1", cost_center="A"),
            event("2", cost_center="A", at=now - timedelta(days=1)),
        ]

        ingest.record(made)

        spent = dict(BudgetPeriod.objects.filter(starts_at__lte=now).values_list("budget", "spent"))
        assert spent == {ours.pk: Decimal("0.003"), theirs.pk: Decimal(0)}
        assert not books.verify()
