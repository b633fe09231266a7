"""Budgets with filters: held wherever a possible target matches, charged where the billed one does."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.prices.tokens import Tokens
from budgets.limits.filters import FilterError
from budgets.limits.models import BudgetPeriod
from budgets.reservations import books, holds, ingest
from budgets.reservations.holds import Call, RefusedError
from budgets.reservations.ingest import Event
from budgets.reservations.models import Reservation
from tests.factories import make_budget, make_organization

pytestmark = pytest.mark.django_db
WORKER = uuid.uuid4()
ACME = {"providers": ["acme"]}
SMALL = {"models": ["small"]}


def reserve(amount: str = "0.4", **about: Any) -> Call:
    """Hold an amount for a new call."""
    call = Call(holds.mint(timezone.now()), **about)
    holds.reserve(call, Decimal(amount), at=timezone.now(), worker_id=WORKER)
    return call


def figures() -> dict[str, tuple[str, str, str]]:
    """Return spent, held and uncertain of each budget's running period."""
    now = timezone.now()
    rows = BudgetPeriod.objects.filter(starts_at__lte=now, ends_at__gt=now)
    found = rows.values_list("budget__name", "spent", "held", "uncertain")
    return {name: tuple(f"{one.normalize():f}" for one in amounts) for name, *amounts in found}  # type: ignore[misc]


def test_a_call_whose_target_is_open_is_held_in_all_and_charged_to_the_one_that_billed() -> None:
    with tenant(make_organization().pk):
        make_budget(name="all")
        make_budget(name="acme", filters=ACME)
        make_budget(name="other", filters={"providers": ["other"]})
        make_budget(name="small", filters=SMALL)
        call = reserve()
        assert {held for _, held, _ in figures().values()} == {"0.4"}
        assert not books.verify()

        holds.settle(call.id, Decimal("0.3"), provider="acme", provider_model="large")

        nothing = ("0", "0", "0")
        spent = ("0.3", "0", "0")
        assert figures() == {"all": spent, "acme": spent, "other": nothing, "small": nothing}
        assert Reservation.objects.filter(usage_id=call.id).count() == 2
        assert not books.verify()


def test_a_budget_counts_the_name_that_was_asked_whatever_name_answers() -> None:
    with tenant(make_organization().pk):
        make_budget(name="small", filters=SMALL)
        dated = reserve(provider="acme", model="small")
        holds.settle(dated.id, Decimal("0.1"), model_billed="small-2026-01-01")
        alias = reserve(provider="acme", model="small")
        holds.settle(alias.id, Decimal("0.2"), provider_model="acme-small")

        assert figures() == {"small": ("0.3", "0", "0")}
        assert not books.verify()


def test_feature_and_environment_are_known_before_and_decide_at_once() -> None:
    with tenant(make_organization().pk):
        make_budget(name="chat", limit="0.5", filters={"features": ["chat", "mail"]})
        make_budget(name="prod", filters={"environments": ["prod"], "models": ["small"]})

        reserve(feature="chat")
        reserve(feature="search", environment="prod", model="large")
        assert figures() == {"chat": ("0", "0.4", "0"), "prod": ("0", "0", "0")}
        with pytest.raises(RefusedError):
            reserve(feature="mail", environment="prod", model="small")
        reserve(environment="prod", model="small")

        assert figures() == {"chat": ("0", "0.4", "0"), "prod": ("0", "0.4", "0")}
        assert not books.verify()


def test_a_doubt_is_charged_wherever_it_was_held_until_the_truth_says_where() -> None:
    with tenant(make_organization().pk):
        make_budget(name="acme", filters=ACME)
        make_budget(name="small", filters=SMALL)
        call = reserve()
        holds.doubt(call.id)
        assert set(figures().values()) == {("0", "0", "0.4")}
        assert not books.verify()

        holds.settle(call.id, Decimal("0.2"), provider="acme", provider_model="large")
        assert not holds.settle(call.id, Decimal("0.2"), provider="other", provider_model="small")

        assert figures() == {"acme": ("0.2", "0", "0"), "small": ("0", "0", "0")}
        assert not books.verify()


def test_one_question_settles_calls_of_several_targets_each_in_its_place() -> None:
    with tenant(make_organization().pk):
        make_budget(name="acme", filters=ACME)
        make_budget(name="small", filters=SMALL)
        make_budget(name="all")
        first, second, third = reserve(), reserve(), reserve()
        holds.settle(first.id, Decimal("0.01"), provider="acme", provider_model="small")
        holds.settle(second.id, Decimal("0.02"), provider="acme", provider_model="large")
        holds.release(third.id)

        assert figures() == {
            "acme": ("0.03", "0", "0"),
            "small": ("0.01", "0", "0"),
            "all": ("0.03", "0", "0"),
        }
        assert not books.verify()


def test_a_new_budget_counts_in_what_matches_and_holds_what_may() -> None:
    with tenant(make_organization().pk):
        matching = reserve(provider="acme", model="small", feature="chat")
        holds.settle(matching.id, Decimal("0.1"))
        other = reserve(provider="other", model="small", feature="chat")
        holds.settle(other.id, Decimal("0.2"))
        elsewhere = reserve(provider="acme", model="large", feature="mail")
        holds.settle(elsewhere.id, Decimal("0.4"))
        doubtful = reserve("0.5", provider="other", model="large", feature="chat")
        holds.doubt(doubtful.id)
        still_open = reserve("0.7", provider="other", model="large", feature="chat")

        make_budget(name="acme", filters={**ACME, "features": ["chat"]})
        assert figures() == {"acme": ("0.1", "0.7", "0")}
        assert not books.verify()
        holds.settle(still_open.id, Decimal("0.6"), provider="acme", provider_model="small")

        assert figures() == {"acme": ("0.7", "0", "0")}
        assert not books.verify()


def test_reported_calls_count_where_they_match() -> None:
    with tenant(make_organization().pk):
        make_budget(name="acme", filters=ACME)
        make_budget(name="small", filters={**SMALL, "features": ["chat"]})
        make_budget(name="other", filters={"providers": ["other"]})
        at = timezone.now() - timedelta(seconds=1)
        events = [
            Event(
                source="sdk",
                event_id=str(n),
                occurred_at=at,
                model=model,
                provider="acme",
                tokens=Tokens(input=1),
                cost=Decimal(cost),
                columns={"feature": feature},
            )
            for n, (model, feature, cost) in enumerate(
                [("small", "chat", "0.1"), ("small", "", "0.2"), ("large", "chat", "0.4")]
            )
        ]
        assert {one.result for one in ingest.record(events)} == {"recorded"}

        spent = {name: amounts[0] for name, amounts in figures().items()}
        assert spent == {"acme": "0.7", "small": "0.1", "other": "0"}
        assert not books.verify()


def test_unknown_filters_are_refused_when_a_budget_is_made() -> None:
    with tenant(make_organization().pk), pytest.raises(FilterError, match="unknown filter"):
        make_budget(filters={"upstreams": ["a"]})
