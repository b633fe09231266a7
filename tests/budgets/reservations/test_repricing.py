"""What a call should have cost: the price of its time, on the terms of its time."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.ledger.models import LedgerEntry
from attribution.prices import overrides
from attribution.prices.models import Price
from attribution.prices.rates import Rates
from attribution.usage.models import UsageRecord
from budgets.limits.models import BudgetPeriod
from budgets.reservations import holds
from tests.budgets.rerating import (
    MODEL,
    applied,
    carried,
    clean,
    previewed,
    priced,
    report,
    selection,
)
from tests.factories import make_budget, make_organization

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)  # calls are kept to the millisecond


@pytest.fixture
def organization(committed: None) -> UUID:
    return make_organization().pk


def test_a_call_pays_the_terms_that_its_upstream_had(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        budget = make_budget(limit="100")
        carried(now, multiplier="0.5")
        price = priced(now, "2")

    applied(organization, selection(now))
    with tenant(organization):
        at = price.effective_from + timedelta(hours=1)
        overrides.change(price, Rates({"input": Decimal(4)}), at=at, by=SYSTEM)
    done = applied(organization, selection(now))

    assert (str(done.total.was), done.total.delta) == ("1.000000000000", Decimal(1))
    with tenant(organization):
        assert BudgetPeriod.objects.get(budget=budget).spent == 2
    clean(organization)


def test_what_other_models_used_inside_a_call_is_priced_too(
    organization: UUID, now: datetime
) -> None:
    others = [{"model": "hammer-1", "output": 100_000}, {"model": None, "input": 500_000}]
    with tenant(organization):
        carried(now, others=others, searches=3)
        priced(now, "2")
    missing = previewed(organization, selection(now))
    with tenant(organization):
        priced(now, "1", model="hammer-1")
        fees = {"base": {"input": "2", "searches": "0.01"}}
        Price.objects.filter(model=MODEL).update(rates=fees)

    applied(organization, selection(now))

    assert missing.kept == {"no price": 1}
    with tenant(organization):
        lines = LedgerEntry.objects.filter(kind="rerate", reverses_id=None)
        found = {(line.token_class, line.usd_amount) for line in lines}
        assert UsageRecord.objects.get().cost == Decimal("4.03")
    assert found == {
        ("input", Decimal(2)),
        ("searches", Decimal("0.03")),
        ("other_model", Decimal(1)),
    }
    clean(organization)


def test_a_call_that_was_free_stays_free(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        call = holds.Call(holds.mint(now))
        holds.reserve(call, Decimal(0), at=now, worker_id=uuid4(), provider="acme")
        columns = {"input_tokens": 9, "cost_source": "usage", "lines": []}
        holds.settle(call.id, Decimal(0), model_billed=MODEL, **columns)
        priced(now, "2")

    assert previewed(organization, selection(now)).kept == {"other terms": 1}


def test_what_a_provider_stated_stays(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        report(now, cost=Decimal("0.77"))
        priced(now, "2")

    assert previewed(organization, selection(now)).total.calls == 0


def test_a_call_that_has_no_price_still_stays_unpriced(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        report(now)
        priced(now, "2", model="another")

    shown = applied(organization, selection(now, is_unpriced_only=True))

    assert (shown.total.calls, shown.kept) == (0, {"no price": 1})


def test_calls_before_and_at_a_change_have_different_versions(
    organization: UUID, now: datetime
) -> None:
    second = timedelta(seconds=1)
    with tenant(organization):
        old = priced(now, "2.5")
        new = overrides.change(old, Rates({"input": Decimal(2)}), at=now - second, by=SYSTEM)
        report(now - 2 * second, now - second)

    shown = previewed(organization, selection(now))

    assert (shown.total.calls, shown.kept) == (0, {"unchanged": 2})
    with tenant(organization):
        lines = LedgerEntry.objects.filter(token_class="input").order_by("occurred_at")
        assert [line.price_version for line in lines] == [old.pk, new.pk]
        for line, rate in zip(lines, ("2.5", "2"), strict=True):
            assert line.unit_price == Decimal(rate)
            assert line.usd_amount == line.quantity * Decimal(rate) / 1_000_000
