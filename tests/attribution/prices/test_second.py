"""A price that two lists dispute waits for a person; what they decide stays decided."""

import gzip
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.prices import acceptance, catalog, sanity, second
from attribution.prices.models import Price
from attribution.prices.published import BEGINNING, ListedPrice
from attribution.prices.rates import Rates
from attribution.prices.second import SecondList
from tests.factories import make_organization, make_user

pytestmark = pytest.mark.django_db(databases=["default", "owner"])

DATA = Path(os.environ.get("TOLLKEEPER_DATA", "../shared/data")) / "prices"
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)
BY = Actor("command")


def listed(rate: str, output: str = "4", start: datetime = BEGINNING) -> ListedPrice:
    rates: dict[str, Any] = {"base": {"input": rate, "output": output}}
    return ListedPrice("acme", "anvil-1", {"names": ["anvil"]}, rates, 8_000, start, None)


def said(rate: str, output: str = "4") -> SecondList:
    rates = Rates({"input": Decimal(rate), "output": Decimal(output)})
    return SecondList({("acme", "anvil"): rates})


def shown() -> list[tuple[str, str]]:
    rows = Price.objects.using("owner").filter(provider="acme").order_by("effective_from", "id")
    return [(row.rates["base"]["input"], row.status) for row in rows]


def draft() -> Price:
    return acceptance.waiting().using("owner").filter(provider="acme")[0]


@pytest.mark.parametrize(("other", "status"), [("2.52", "approved"), ("2.60", "draft")])
def test_lists_agree_within_one_percent(other: str, status: str) -> None:
    result = catalog.load([listed("2.50")], at=JUNE, second=said(other))

    assert shown() == [("2.50", status)]
    assert result.differing == (() if status == "approved" else ("acme anvil-1",))


def test_both_values_of_a_dispute_are_kept() -> None:
    catalog.load([listed("2.50")], at=JUNE, second=said("2.60"))

    (difference,) = acceptance.compared(draft())

    assert difference.token_class == "input"
    assert (difference.own, difference.other) == (Decimal("2.50"), Decimal("2.60"))
    assert not acceptance.is_single_source(draft())


def test_a_price_that_the_second_list_does_not_know_is_single_source() -> None:
    catalog.load([listed("2.50")], at=JUNE, second=SecondList({}))

    price = Price.objects.using("owner").get(provider="acme")
    assert (price.status, acceptance.compared(price)) == ("approved", [])
    assert acceptance.is_single_source(price)


def test_a_disputed_change_leaves_the_old_price_in_force_until_accepted() -> None:
    catalog.load([listed("2")], at=JUNE, second=said("2"))
    catalog.load([listed("3")], at=JULY, second=said("2"))
    before = shown()
    repeated = catalog.load([listed("3")], at=JULY, second=said("2"))
    without = catalog.load([listed("3")], at=JULY)

    acceptance.accept(draft(), by=BY, at=AUGUST)
    after = catalog.load([listed("3")], at=AUGUST + timedelta(days=1), second=said("2"))

    assert before == [("2", "approved"), ("3", "draft")]
    assert not repeated.is_change
    assert not without.is_change
    assert not after.is_change
    assert shown() == [("2", "approved"), ("3", "approved")]
    old, new = Price.objects.using("owner").filter(provider="acme").order_by("effective_from")
    assert (old.effective_to, new.effective_from) == (AUGUST, AUGUST)
    assert new.sources["decided"]["as"] == "accepted"


def test_a_model_without_a_price_is_priced_from_its_own_start_when_accepted() -> None:
    catalog.load([listed("2.50")], at=JUNE, second=said("2.60"))

    (price,) = acceptance.accept(draft(), by=BY, at=AUGUST)

    assert (price.effective_from, price.status) == (BEGINNING, "approved")


def test_a_rejected_price_does_not_come_back() -> None:
    catalog.load([listed("2")], at=JUNE)
    catalog.load([listed("3")], at=JULY, second=said("2"))
    acceptance.reject(draft(), by=BY, at=JULY)

    again = catalog.load([listed("3")], at=AUGUST, second=said("2"))
    another = catalog.load([listed("2.01")], at=AUGUST, second=said("2"))

    assert (again.is_change, again.unchanged) == (False, 1)
    assert another.opened == 1
    assert ("3", "retired") in shown()


def test_a_dispute_that_the_second_list_gives_up_is_over() -> None:
    catalog.load([listed("3")], at=JUNE, second=said("2"))

    catalog.load([listed("3")], at=JULY, second=said("3"))

    assert shown() == [("3", "retired"), ("3", "approved")]


def test_a_price_in_force_that_is_disputed_later_stays_and_is_marked() -> None:
    catalog.load([listed("3")], at=JUNE)
    found = catalog.load([listed("3")], at=JULY, second=said("2"))
    marked = Price.objects.using("owner").get(provider="acme")

    again = catalog.load([listed("3")], at=JULY, second=said("2"))
    over = catalog.load([listed("3")], at=AUGUST, second=said("3"))

    assert (found.is_change, found.disputed, again.disputed) == (False, *[("acme anvil-1",)] * 2)
    assert (marked.status, marked.sources["disputed"]) == ("approved", True)
    assert [one.token_class for one in acceptance.compared(marked)] == ["input"]
    assert over.disputed == ()
    price = Price.objects.using("owner").get(provider="acme")
    assert "disputed" not in price.sources
    assert not acceptance.is_single_source(price)


def test_a_price_to_come_is_not_disputed_yet() -> None:
    now = listed("3")
    coming = listed("9", start=datetime(2027, 1, 1, tzinfo=UTC))
    both = [replace(now, effective_to=coming.effective_from), coming]
    catalog.load(both, at=JUNE)

    found = catalog.load(both, at=JULY, second=said("3"))

    assert found.disputed == ()


def test_whoever_runs_the_installation_decides_for_all() -> None:
    catalog.load([listed("3")], at=JUNE, second=said("2"))
    asked: list[Any] = ["acme", "anvil-1"]

    told, accepted, empty = StringIO(), StringIO(), StringIO()
    call_command("decide_price", stdout=told)
    with pytest.raises(CommandError, match="--accept or --reject"):
        call_command("decide_price", *asked)
    call_command("decide_price", *asked, "--accept", stdout=accepted)
    with pytest.raises(CommandError, match="waits"):
        call_command("decide_price", *asked, "--reject")
    call_command("decide_price", stdout=empty)

    assert "acme anvil-1: input 3 / 2" in told.getvalue()
    assert "accepted" in accepted.getvalue()
    assert "acme" not in empty.getvalue()
    assert shown() == [("3", "approved")]


def test_a_slip_of_the_unit_needs_another_word_of_the_command() -> None:
    catalog.load([listed("2")], at=JUNE)
    catalog.load([listed("2000")], at=JULY)

    with pytest.raises(CommandError, match="unit of input"):
        call_command("decide_price", "acme", "anvil-1", "--accept")
    call_command("decide_price", "acme", "anvil-1", "--accept", "--confirm", stdout=StringIO())
    catalog.load([listed("9")], at=timezone.now(), second=said("2"))
    call_command("decide_price", "acme", "anvil-1", "--reject", stdout=StringIO())

    assert acceptance.waiting().using("owner").filter(provider="acme").count() == 0


def test_only_one_decision_is_taken() -> None:
    catalog.load([listed("3")], at=JUNE, second=said("2"))
    first = draft()
    acceptance.accept(first, by=BY, at=JULY)

    with pytest.raises(acceptance.NotWaitingError):
        acceptance.reject(first, by=BY, at=JULY)


@pytest.mark.parametrize("rate", ["0.000002", "2000", "30"])
def test_what_looks_like_a_slip_of_the_unit_is_confirmed_twice(rate: str) -> None:
    catalog.load([listed("2")], at=JUNE)
    catalog.load([listed(rate)], at=JULY, second=said("2"))

    with pytest.raises(acceptance.ConfirmationNeededError) as caught:
        acceptance.accept(draft(), by=BY, at=JULY)
    (doubt,) = caught.value.doubts
    acceptance.accept(draft(), by=BY, at=JULY, is_confirmed=True)

    assert doubt.per_million == Decimal(rate) == doubt.per_token * 1_000_000
    assert doubt.per_thousand == Decimal(rate) / 1_000
    assert shown() == [("2", "approved"), (rate, "approved")]


def test_the_books_of_the_person_who_decides_say_so() -> None:
    catalog.load([listed("3")], at=JUNE, second=said("2"))
    organization, person = make_organization(), make_user()

    with tenant(organization.pk):
        acceptance.accept(draft(), by=Actor("user", person.pk), at=JULY)
        assert AuditEntry.objects.get(action="price.accepted").actor_id == person.pk


def test_ordinary_rates_are_not_doubted() -> None:
    rates = Rates({"input": Decimal("0.001"), "output": Decimal(1000), "cache_read": Decimal(0)})

    assert sanity.doubts(rates) == []
    assert sanity.doubts(rates, Rates({"input": Decimal("0.002")})) == []


def test_rates_of_any_hour_may_agree() -> None:
    window = {"start": "00:00", "end": "08:00", "base": {"input": "1", "output": "4"}}
    rates = {"base": {"input": "2", "output": "4"}, "windows": [window]}

    assert sanity.differences(rates, Rates({"input": Decimal(1)})) == []
    assert len(sanity.differences(rates, Rates({"input": Decimal(3)}))) == 1


def test_the_second_list_is_read_by_provider_and_name(tmp_path: Path) -> None:
    entries = {
        "gpt-9": {"litellm_provider": "openai", "input_cost_per_token": 2e-06},
        "gemini/flash": {
            "litellm_provider": "gemini",
            "input_cost_per_token": 7.5e-08,
            "cache_creation_input_token_cost_above_1hr": 1e-06,
        },
        "picture": {"litellm_provider": "openai", "output_cost_per_image": 1},
    }
    path = tmp_path / "prices.json.gz"
    path.write_bytes(gzip.compress(json.dumps(entries).encode()))

    found = second.read(path)

    openai = found.find("openai", ["unknown", "GPT-9"])
    google = found.find("google", ["flash"])
    assert openai == Rates({"input": Decimal(2)})
    assert google == Rates({"input": Decimal("0.075"), "cache_write_1h": Decimal(1)})
    assert found.find("google", ["gpt-9"]) is None
    assert found.find("openai", ["picture"]) is None


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text("[1]")

    with pytest.raises(CommandError, match="prices"):
        call_command("load_prices", "--second", path)


@pytest.mark.skipif(not DATA.is_dir(), reason="TOLLKEEPER_DATA has no prices")
@pytest.mark.parametrize(
    ("name", "least"),
    [("litellm_1.106.2_model_prices.json.gz", 300), ("litellm_1.77.7_model_prices.json.gz", 100)],
)
def test_the_real_lists_agree_on_most_models_and_name_the_others(name: str, least: int) -> None:
    Price.objects.using("owner").filter(organization=None).delete()
    output = StringIO()

    call_command(
        "load_prices",
        "--second",
        DATA / name,
        stdout=output,
    )

    lines = output.getvalue().splitlines()
    disputed = [line for line in lines if "second list differs" in line]
    agreed = [
        one
        for one in Price.objects.using("owner").filter(status="approved")
        if not acceptance.is_single_source(one)
    ]
    assert 10 < len(disputed) < 100
    assert len(agreed) > least
    assert {"gpt-4.1", "claude-sonnet-4-5"} <= {one.model for one in agreed}
