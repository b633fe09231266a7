"""Re-rating: unpriced and wrongly priced calls get the cost of their time, once, everywhere."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.ledger.models import LedgerEntry, Rollup
from attribution.prices import overrides
from attribution.prices.rates import Rates
from attribution.tenancy.models import Organization
from attribution.usage.models import UsageRecord
from budgets.alerts.models import Alert
from budgets.limits.models import BudgetPeriod
from budgets.reservations import corrections
from budgets.reservations.corrections import Figures, Preview
from tests.budgets.rerating import MODEL, applied, clean, previewed, priced, report, selection
from tests.factories import make_budget, make_cost_center, make_organization

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)  # calls are kept to the millisecond


@pytest.fixture
def organization(committed: None) -> UUID:
    return make_organization().pk


def only_period(preview: Preview) -> Figures:
    ((place, figures),) = preview.by_period.items()
    assert place.name == "whole"
    assert place.starts_at < place.ends_at
    return figures


def model_rollup(organization: UUID) -> tuple[object, ...]:
    with tenant(organization):
        row = Rollup.objects.get(facet="model", grain="month", value=MODEL)
    return row.usd_amount, row.calls, row.unpriced_calls, row.input_tokens


def test_an_unpriced_call_is_priced_by_re_rating(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        center = make_cost_center(code="LAB")
        budget = make_budget(name="whole", limit="100")
        report(now, cost_center="LAB")
    rollups.advance()
    before = model_rollup(organization)
    with tenant(organization):
        price = priced(now, "2.5")

    shown = previewed(organization, selection(now))
    done = applied(organization, selection(now))
    again = applied(organization, selection(now))
    rollups.advance()

    assert before == (0, 1, 1, 1_000_000)
    assert model_rollup(organization) == (Decimal("3.5"), 1, 0, 1_000_000)
    for figures in (
        shown.total,
        shown.by_cost_center["LAB"],
        only_period(shown),
        shown.by_month[now.astimezone(UTC).date().replace(day=1)],
        done.total,
    ):
        assert (figures.calls, figures.unpriced, figures.tokens) == (1, 1, 1_100_000)
        assert not figures.was
        assert figures.cost == figures.delta == Decimal("3.5")
    assert (again.total.calls, again.kept) == (0, {"unchanged": 1})
    with tenant(organization):
        call = UsageRecord.objects.get()
        assert (call.cost, call.price_version) == (Decimal("3.5"), price.pk)
        assert BudgetPeriod.objects.get(budget=budget).spent == Decimal("3.5")
        assert LedgerEntry.objects.filter(kind="rerate", cost_center_id=center.pk).count() == 4
        entry = AuditEntry.objects.get(action="calls.rerated")
        assert entry.actor_type == "system"
    clean(organization)


def test_a_wrong_price_is_corrected_from_where_it_was_wrong(
    organization: UUID, now: datetime
) -> None:
    with tenant(organization):
        make_budget(name="whole", limit="1", thresholds=["300"])
        wrong = priced(now, "0.1")
        report(now - timedelta(seconds=4), now)
        right = overrides.change(
            wrong, Rates({"input": Decimal(2)}), at=now - timedelta(seconds=2), by=SYSTEM
        )

    shown = previewed(organization, selection(now))
    applied(organization, selection(now))

    assert (shown.total.calls, shown.total.was) == (1, Decimal("1.1"))
    assert shown.total.delta == Decimal("1.9")
    with tenant(organization):
        costs = UsageRecord.objects.order_by("id").values_list("cost", "price_version")
        assert list(costs) == [(Decimal("1.1"), wrong.pk), (Decimal(3), right.pk)]
        assert BudgetPeriod.objects.get().spent == Decimal("4.1")
        assert Alert.objects.get().threshold == 300
        reversed_ = LedgerEntry.objects.exclude(reverses_id=None)
        assert {entry.price_version for entry in reversed_} == {wrong.pk}
        assert sum(entry.usd_amount or 0 for entry in reversed_) == Decimal("-1.1")
    clean(organization)


def test_re_rating_twice_and_back_adds_up(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        make_budget(limit="100")
        price = priced(now, "1")
        report(now)
    for rate in ("3", "1", "7.123456"):
        with tenant(organization):
            price = overrides.change(
                price,
                Rates({"input": Decimal(rate)}),
                at=price.effective_from + timedelta(hours=1),
                by=SYSTEM,
            )
        assert applied(organization, selection(now)).total.calls == 1

    with tenant(organization):
        assert UsageRecord.objects.get().cost == Decimal("8.123456")
        assert BudgetPeriod.objects.get().spent == Decimal("8.123456")
    clean(organization)


def test_pages_follow_each_other(
    organization: UUID, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "PAGE", 2)
    with tenant(organization):
        report(*(now - timedelta(milliseconds=10 * n) for n in range(5)))
        priced(now, "2")
    chosen, after, calls = selection(now), None, 0

    assert previewed(organization, chosen).total.calls == 5
    while True:
        with tenant(organization):
            done, after = corrections.apply(chosen, by=SYSTEM, reason="", after=after)
        calls += done.total.calls
        if after is None:
            break

    assert calls == 5


def test_the_command_shows_first_and_books_when_told(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        slug = Organization.objects.get().slug
        report(now)
        priced(now, "2.5")

    shown = run(slug)
    untouched = previewed(organization, selection(now)).total.calls
    with pytest.raises(CommandError, match="reason"):
        run(slug, "--apply")
    booked = run(slug, "--apply", "--reason", "the price was missing")
    again = run(slug, "--apply", "--reason", "the price was missing")

    assert "all: 1 calls (1 unpriced), 1100000 tokens, 0 -> 3.5 USD (3.5)" in shown
    assert untouched == 1
    assert booked.endswith("1 calls were re-rated.\n")
    assert again == "0 calls were re-rated.\n"


def run(*words: str) -> str:
    said = StringIO()
    call_command("rerate", *words, stdout=said)
    return said.getvalue()
