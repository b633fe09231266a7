"""Re-rating: unpriced and wrongly priced calls get the cost of their time, once, everywhere."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.ledger.models import LedgerEntry, Rollup
from attribution.prices import overrides
from attribution.prices.models import Price
from attribution.prices.rates import Rates
from attribution.prices.tokens import Tokens
from attribution.tenancy.models import Organization
from attribution.usage.models import UsageRecord
from budgets.alerts.models import Alert
from budgets.limits.models import BudgetPeriod
from budgets.reservations import books, corrections, holds, ingest
from budgets.reservations.corrections import Preview, Selection
from budgets.reservations.ingest import Event
from tests.factories import make_budget, make_cost_center, make_organization, make_price, unique

pytestmark = pytest.mark.usefixtures("committed")

MODEL = "anvil-9"
TOKENS = Tokens(input=1_000_000, output=100_000)
DAY = timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)  # calls are kept to the millisecond


@pytest.fixture
def organization(committed: None) -> UUID:
    return make_organization().pk


def selection(now: datetime, **chosen: Any) -> Selection:
    return Selection(now - timedelta(minutes=5), now + timedelta(minutes=1), **chosen)


def report(
    *times: datetime, model: str = MODEL, tokens: Tokens = TOKENS, **facts: Any
) -> list[UUID]:
    events = [
        Event(facts.pop("source", "test"), unique("event"), at, model, "acme", tokens, **facts)
        for at in times
    ]
    return [one.call_id for one in ingest.record(events) if one.call_id]


def priced(now: datetime, rate: str, **columns: Any) -> Price:
    rates = {"base": {"input": rate, "output": "10"}}
    values = {"model": MODEL, "provider": "acme", "effective_from": now - DAY, **columns}
    return make_price(rates=rates, **values)


def previewed(organization: UUID, chosen: Selection) -> Preview:
    with tenant(organization):
        return corrections.preview(chosen, multipliers={})


def applied(
    organization: UUID, chosen: Selection, multipliers: corrections.Multipliers | None = None
) -> Preview:
    with tenant(organization):
        done, _ = corrections.apply(
            chosen, multipliers=multipliers or {}, by=SYSTEM, reason="test", after=None
        )
    return done


def rolled_up(organization: UUID) -> list[dict[str, Any]]:
    with tenant(organization):
        names = [f.attname for f in Rollup._meta.concrete_fields if f.attname != "id"]
        rows = list(Rollup.objects.order_by("facet", "bucket", "provider", "value").values(*names))
    return [row for row in rows if any(v for k, v in row.items() if k.endswith(("s", "amount")))]


def model_rollup(organization: UUID) -> tuple[object, ...]:
    with tenant(organization):
        row = Rollup.objects.get(facet="model", value=MODEL)
    return row.usd_amount, row.calls, row.unpriced_calls, row.input_tokens


def clean(organization: UUID) -> None:
    rollups.advance()
    live = rolled_up(organization)
    rollups.rebuild()
    assert rolled_up(organization) == live
    with tenant(organization):
        assert [str(breach) for breach in books.verify()] == []


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
        shown.by_budget["whole"],
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


def test_a_call_of_a_carried_upstream_pays_its_multiplier(
    organization: UUID, now: datetime
) -> None:
    upstream = uuid4()
    with tenant(organization):
        budget = make_budget(limit="100")
        call = holds.Call(holds.mint(now))
        holds.reserve(call, Decimal(9), at=now, worker_id=uuid4(), provider="acme")
        columns = {"input_tokens": 1_000_000, "usage": {"input": 1_000_000}, "lines": []}
        holds.settle(call.id, None, model_billed=MODEL, upstream_id=str(upstream), **columns)
        price = priced(now, "2")

    applied(organization, selection(now), {upstream: Decimal("0.5")})
    with tenant(organization):
        at = price.effective_from + timedelta(hours=1)
        overrides.change(price, Rates({"input": Decimal(4)}), at=at, by=SYSTEM)
    doubted = applied(organization, selection(now), {upstream: Decimal("0.9")})
    done = applied(organization, selection(now), {upstream: Decimal("0.5")})

    assert (doubted.total.calls, doubted.kept) == (0, {"other terms": 1})
    assert (str(done.total.was), done.total.delta) == ("1.000000000000", Decimal(1))
    with tenant(organization):
        assert BudgetPeriod.objects.get(budget=budget).spent == 2
    clean(organization)


def test_a_call_that_moved_meanwhile_is_left_alone(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        (call,) = report(now)
        priced(now, "2")
        stale = {
            "id": str(call),
            "was_cost": "1",
            "cost": "2",
            "price_version": 1,
            "lines": [{"token_class": "input", "quantity": 1, "usd_amount": "2"}],
        }
        outcomes = [
            ask(organization, [stale]),
            ask(organization, [{**stale, "was_cost": None}]),
            ask(organization, [{**stale, "was_cost": None}]),
            ask(uuid4(), [{**stale, "was_cost": "2", "cost": "3"}]),
        ]
        cost = UsageRecord.objects.get().cost

    assert outcomes == ["noop", "done", "noop", "noop"]
    assert cost == Decimal(2)


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
            done, after = corrections.apply(
                chosen, multipliers={}, by=SYSTEM, reason="", after=after
            )
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


def ask(organization: UUID, calls: list[dict[str, Any]]) -> str:
    argument = {"organization_id": str(organization), "reason": "test", "calls": calls}
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome FROM budgets_rerate(%s::jsonb)", [json.dumps(argument)])
        (outcome,) = cursor.fetchone()
    return str(outcome)
