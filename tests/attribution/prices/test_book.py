"""Which dated price a call meets, own before shared."""

from datetime import UTC, datetime, timedelta

import pytest

from attribution.isolation.transaction import tenant
from attribution.prices.book import PriceBook
from tests.factories import make_organization, make_price

pytestmark = pytest.mark.django_db
CHANGE = datetime(2026, 10, 1, tzinfo=UTC)


def rates(price: str) -> dict[str, dict[str, str]]:
    return {"base": {"input": price, "output": price}}


def test_a_call_meets_the_version_in_force_at_its_own_time() -> None:
    with tenant(make_organization().pk):
        old = make_price(
            model="m",
            rates=rates("1"),
            effective_from=CHANGE - timedelta(days=9),
            effective_to=CHANGE,
        )
        new = make_price(model="m", rates=rates("2"), effective_from=CHANGE)

        book = PriceBook.between(CHANGE - timedelta(days=5), CHANGE + timedelta(days=5))
        before = book.find("m", "openai", CHANGE - timedelta(microseconds=1))
        after = book.find("m", "openai", CHANGE)

        assert before is not None
        assert after is not None
        assert (before.version, after.version) == (old.pk, new.pk)


def test_a_price_never_reaches_before_its_dates() -> None:
    with tenant(make_organization().pk):
        make_price(model="m", rates=rates("1"), effective_from=CHANGE)

        book = PriceBook.between(CHANGE - timedelta(days=5), CHANGE + timedelta(days=5))

        assert book.find("m", "openai", CHANGE - timedelta(seconds=1)) is None


def test_another_organization_does_not_see_our_price() -> None:
    with tenant(make_organization().pk):
        make_price(model="ours-alone", rates=rates("1"), effective_from=CHANGE)

    with tenant(make_organization().pk):
        book = PriceBook.between(CHANGE, CHANGE + timedelta(days=1))

        assert book.find("ours-alone", "openai", CHANGE) is None


def test_a_price_in_another_currency_is_not_taken_for_dollars() -> None:
    with tenant(make_organization().pk):
        make_price(model="m", rates=rates("1"), effective_from=CHANGE, currency="CNY")

        book = PriceBook.between(CHANGE, CHANGE + timedelta(days=1))

        assert book.find("m", "openai", CHANGE) is None
