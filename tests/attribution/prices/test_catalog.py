"""Loading the list: history once, then only changes, and never an edit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import DatabaseError

from attribution.isolation.transaction import tenant
from attribution.prices import catalog, published
from attribution.prices.models import Price, PriceStatus
from attribution.prices.published import BEGINNING, ListedPrice

pytestmark = pytest.mark.django_db(databases=["default", "owner"])

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)


def listed(rate: str, start: datetime, end: datetime | None = None) -> ListedPrice:
    rates: dict[str, Any] = {"base": {"input": rate, "output": "4"}}
    return ListedPrice("acme", "anvil-1", {"names": ["anvil"]}, rates, 8_000, start, end)


def shown() -> list[tuple[str, datetime, datetime | None, str]]:
    prices = Price.objects.using("owner").filter(provider="acme").order_by("effective_from", "id")
    return [(p.rates["base"]["input"], p.effective_from, p.effective_to, p.status) for p in prices]


def test_the_first_load_brings_the_history_and_the_second_nothing() -> None:
    history = [listed("2", BEGINNING, JUNE), listed("1", JUNE)]

    first = catalog.load(history, at=JULY)
    second = catalog.load(history, at=AUGUST)

    assert (first.opened, first.closed) == (2, 0)
    assert (second.is_change, second.unchanged) == (False, 1)
    assert shown() == [
        ("2", BEGINNING, JUNE, "approved"),
        ("1", JUNE, None, "approved"),
    ]


def test_a_change_closes_the_old_price_and_opens_the_new_one_at_the_load() -> None:
    catalog.load([listed("2", BEGINNING)], at=JUNE)
    before = Price.objects.using("owner").get(provider="acme")

    result = catalog.load([listed("1", BEGINNING)], at=JULY)

    assert (result.opened, result.closed) == (1, 1)
    assert shown() == [("2", BEGINNING, JULY, "approved"), ("1", JULY, None, "approved")]
    after = Price.objects.using("owner").get(pk=before.pk)
    assert (after.rates, after.match, after.effective_from) == (
        before.rates,
        before.match,
        before.effective_from,
    )


def test_a_start_in_the_past_does_not_reprice_what_was_priced_already() -> None:
    catalog.load([listed("2", BEGINNING)], at=JUNE)

    catalog.load([listed("2", BEGINNING, JUNE), listed("1", JUNE)], at=JULY)

    assert shown() == [("2", BEGINNING, JULY, "approved"), ("1", JULY, None, "approved")]


def test_an_announced_price_waits_for_its_day_and_may_be_taken_back() -> None:
    catalog.load([listed("2", BEGINNING, AUGUST), listed("3", AUGUST)], at=JUNE)

    catalog.load([listed("2", BEGINNING)], at=JULY)
    again = catalog.load([listed("2", BEGINNING)], at=JULY + timedelta(days=1))

    assert shown() == [
        ("2", BEGINNING, JULY, "approved"),
        ("2", JULY, None, "approved"),
        ("3", AUGUST, None, "retired"),
    ]
    assert not again.is_change


def test_a_tenfold_change_waits_for_a_person() -> None:
    catalog.load([listed("2", BEGINNING)], at=JUNE)

    held = catalog.load([listed("0.2", BEGINNING)], at=JULY)
    again = catalog.load([listed("0.2", BEGINNING)], at=AUGUST)

    assert (held.held, held.closed) == (("acme anvil-1",), 0)
    assert (again.held, again.is_change) == (("acme anvil-1",), False)
    assert shown() == [("2", BEGINNING, None, "approved"), ("0.2", JULY, None, "draft")]


def test_a_model_that_left_the_list_keeps_its_price() -> None:
    catalog.load([listed("2", BEGINNING)], at=JUNE)

    result = catalog.load([], at=JULY)

    assert not result.is_change
    assert shown() == [("2", BEGINNING, None, "approved")]


def test_a_price_that_a_person_wrote_into_the_shared_list_stays() -> None:
    catalog.load([listed("2", BEGINNING)], at=JUNE)
    Price.objects.using("owner").filter(provider="acme").update(source="manual")

    result = catalog.load([listed("1", BEGINNING)], at=JULY)

    assert not result.is_change
    assert shown() == [("2", BEGINNING, None, "approved")]


def test_a_price_that_was_ended_by_hand_is_opened_again_from_now_on() -> None:
    catalog.load([listed("2", BEGINNING)], at=JUNE)
    Price.objects.using("owner").filter(provider="acme").update(effective_to=JULY)

    catalog.load([listed("2", BEGINNING)], at=AUGUST)

    assert shown() == [("2", BEGINNING, JULY, "approved"), ("2", AUGUST, None, "approved")]


def test_new_names_are_a_new_version_too() -> None:
    catalog.load([listed("2", BEGINNING)], at=JUNE)

    renamed = replace(listed("2", BEGINNING), match={"names": ["anvil", "hammer"]})
    result = catalog.load([renamed], at=JULY)

    assert (result.opened, result.closed) == (1, 1)


def test_the_command_loads_the_whole_list_once() -> None:
    Price.objects.using("owner").filter(organization=None).delete()
    said = [StringIO(), StringIO()]

    for output in said:
        call_command("load_prices", stdout=output)

    prices = Price.objects.using("owner").filter(source=catalog.SOURCE)
    assert prices.count() == len(published.read())
    assert "0 closed" in said[0].getvalue()
    assert said[1].getvalue().startswith("Nothing changed")
    demo = prices.get(provider="demo", status=PriceStatus.APPROVED)
    assert Decimal(demo.rates["base"]["input"]) > 0


def test_the_application_cannot_write_the_shared_list() -> None:
    row = listed("1", BEGINNING)
    price = Price(provider="acme", model="a", rates=row.rates, effective_from=BEGINNING)

    with pytest.raises(DatabaseError, match="row-level security"), tenant(uuid4()):
        price.save(using="default")
