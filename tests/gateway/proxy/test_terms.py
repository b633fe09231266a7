"""An upstream's terms from the front door to the books: holds, cost, and a re-rating later."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.ledger import rollups
from attribution.ledger.models import Rollup
from attribution.prices import overrides
from attribution.prices.models import Price
from attribution.prices.rates import Rates
from budgets.reservations import books, corrections
from budgets.reservations.corrections import Preview, Selection
from tests.gateway.conftest import Start
from tests.gateway.running import MODEL, aside, make_house

pytestmark = pytest.mark.usefixtures("committed")

# 5 tokens read, 16 written, at 1 and 2 USD per million, 10 % off, then 5 % on
COST = Decimal("0.000037") * Decimal("0.945")


def rerated() -> Preview:
    """Re-rate the last hour."""
    now = timezone.now()
    chosen = Selection(now - timedelta(hours=1), now + timedelta(minutes=1))
    done, _ = corrections.apply(chosen, by=SYSTEM, reason="test", after=None)
    return done


async def test_discount_and_markup_are_in_the_cost_and_in_a_later_re_rating(start: Start) -> None:
    house = await aside(make_house, discount_percent=Decimal(10), markup_percent=Decimal(5))
    async with start(house) as (office, _, _):
        answer = await office.chat("hi")
        [call] = await office.calls()

    def change() -> Preview:
        price = Price.objects.own().get(model=MODEL)
        dearer = Rates({"input": Decimal(2), "output": Decimal(4)})
        at = price.effective_from + timedelta(milliseconds=1)
        overrides.change(price, dearer, at=at, by=SYSTEM)
        house.upstream.discount_percent = Decimal(
            50
        )  # the terms of today are not those of the call
        house.upstream.save()
        return rerated()

    done = await house.make(change)

    assert Decimal(answer.headers["x-cost-usd"]) == call["cost"] == COST
    assert (done.total.calls, done.total.cost) == (1, COST * 2)


async def test_tokens_of_an_unpriced_call_are_counted_and_priced_later(start: Start) -> None:
    house = await aside(make_house, discount_percent=Decimal(10), markup_percent=Decimal(5))

    def unprice() -> None:
        Price.objects.own().update(effective_to=timezone.now() + timedelta(milliseconds=1))

    await house.make(unprice)
    async with start(house) as (office, _, _):
        answer = await office.chat("hi")
        [call] = await office.calls()

    def sums() -> tuple[int, int, int, Decimal]:
        rollups.advance()
        row = Rollup.objects.get(facet="model", grain="hour")
        return row.unpriced_calls, row.input_tokens, row.output_tokens, row.usd_amount

    def price() -> Preview:
        rates = Rates({"input": Decimal(1), "output": Decimal(2)})
        start_ = Price.objects.own().get().effective_to
        assert start_ is not None
        overrides.create("fake", MODEL, rates, at=start_, by=SYSTEM)
        return rerated()

    before = await house.make(sums)
    done = await house.make(price)
    after = await house.make(sums)

    assert (answer.status_code, call["cost"]) == (200, None)
    assert before == (1, 5, 16, 0)
    assert done.total.cost == COST
    assert after == (0, 5, 16, COST)
    assert await house.make(books.verify) == []
