"""A disputed price waits for finance, who sees both lists and decides for their organization alone."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.test import Client
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.prices import proposals
from attribution.prices.models import Price, PriceDecision, PriceProposal
from attribution.prices.second import NAME
from tests.cast import Cast
from tests.factories import make_price, make_proposal, unique

URL = "/admin/attribution/priceproposal/"
LISTED = {"input": "2.5", "output": "10", "cache_read": "0.25"}
SAID = {"input": "3", "output": "10"}


@pytest.fixture
def model(owner_dsn: str) -> Iterator[str]:
    """Name a model whose price two lists dispute."""
    name = unique("disputed")
    yield name
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("DELETE FROM price WHERE organization_id IS NULL AND model = %s", [name])


def disputed(model: str, listed: dict[str, str] = LISTED) -> int:
    return make_proposal(model=model, rates={"base": listed}, sources={"seed": listed, NAME: SAID})


def decide(browser: Client, proposal: int, verdict: str, **more: str) -> Any:
    data = {"verdict": verdict, "reason": "looked it up", **more}
    return browser.post(f"{URL}{proposal}/change/", data, follow=True)


def words(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def own(ours: Cast, model: str) -> list[Price]:
    with tenant(ours.organization.pk):
        return list(Price.objects.own().filter(model=model).order_by("effective_from"))


def test_the_list_shows_both_values_and_their_difference(ours: Cast, model: str) -> None:
    disputed(model)

    text = words(ours.browser("finance").get(URL))

    assert f"{model} list input: 2.5 → 3 (+20 %)" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_compares_every_rate_with_what_is_paid_now(ours: Cast, model: str) -> None:
    proposal = disputed(model)
    with tenant(ours.organization.pk):
        make_price(model=model, provider="list", rates={"base": {"input": "2", "output": "8"}})

    page = ours.browser("finance").get(f"{URL}{proposal}/change/")

    text = words(page).replace("\N{NO-BREAK SPACE}", " ")
    assert "input 2.00 2.50 +25 % 3.00 +20 % disputed" in text
    assert "output 8.00 10.00 +25 % 10.00 0 %" in text
    assert "cache read 2.00 0.25" in text
    assert "input=3" in page.text  # the way to the second list's rates


def test_accepting_opens_a_price_of_our_own_from_now_on(ours: Cast, model: str) -> None:
    proposal = disputed(model)
    with tenant(ours.organization.pk):
        old = make_price(
            model=model, provider="list", effective_from=timezone.now() - timedelta(days=9)
        )
    browser = ours.browser("finance")

    asked = words(browser.get(f"{URL}{proposal}/change/?verdict=accepted"))
    answer = decide(browser, proposal, "accepted")

    assert "Calls that were made before keep their cost." in asked
    assert "accepted." in words(answer)
    before, after = own(ours, model)
    assert (before.pk, before.effective_to) == (old.pk, after.effective_from)
    assert after.rates == {"base": LISTED}
    assert model not in words(browser.get(URL))
    assert model in words(browser.get(URL + "?decided=yes"))
    with tenant(ours.organization.pk):
        entry = AuditEntry.objects.get(action="proposal.accepted")
        assert entry.changes["reason"] == [None, "looked it up"]
        assert entry.actor_id == ours.person("finance").pk
        assert AuditEntry.objects.filter(action="price.opened").exists()


def test_a_model_that_had_no_price_is_priced_from_its_own_start(ours: Cast, model: str) -> None:
    proposal = disputed(model)
    with tenant(ours.organization.pk):
        started = PriceProposal.objects.get(pk=proposal).effective_from

    decide(ours.browser("finance"), proposal, "accepted")

    (price,) = own(ours, model)
    assert price.effective_from == started


def test_rejecting_keeps_what_is_paid_and_is_remembered(ours: Cast, model: str) -> None:
    proposal = disputed(model)
    browser = ours.browser("owner")

    answer = decide(browser, proposal, "rejected")

    assert "rejected." in words(answer)
    assert own(ours, model) == []
    assert "We rejected it on" in words(browser.get(f"{URL}{proposal}/change/"))
    with tenant(ours.organization.pk):
        assert PriceDecision.objects.get().verdict == "rejected"
        assert AuditEntry.objects.filter(action="proposal.rejected").exists()


def test_a_disputed_price_in_force_is_kept_or_replaced(
    ours: Cast, theirs: Cast, model: str, owner_dsn: str
) -> None:
    proposal = disputed(model)
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(
            "UPDATE price SET status = 'approved', sources = sources || '{\"disputed\": true}'"
            " WHERE id = %s",
            [proposal],
        )
    browser = ours.browser("finance")
    listed = words(browser.get(URL))
    page = words(browser.get(f"{URL}{proposal}/change/"))

    refused = words(decide(browser, proposal, "rejected"))
    kept = decide(browser, proposal, "accepted")
    with tenant(theirs.organization.pk):
        make_price(model=model, provider="list")

    assert f"{model} list input: 2.5 → 3" in listed
    assert "Keep the published price" in page
    assert "Reject it" not in page
    assert "does not wait any more" in refused
    assert "accepted." in words(kept)
    assert own(ours, model) == []
    assert model not in words(browser.get(URL))
    assert model not in words(theirs.browser("finance").get(URL))  # they pay a price of their own


def test_a_decision_is_ours_alone(ours: Cast, theirs: Cast, model: str) -> None:
    proposal = disputed(model)

    decide(ours.browser("finance"), proposal, "accepted")

    assert model in words(theirs.browser("finance").get(URL))
    assert own(theirs, model) == []
    with tenant(theirs.organization.pk):
        assert PriceProposal.objects.get(pk=proposal).status == "draft"
        assert not PriceDecision.objects.exists()


def test_a_decision_needs_a_reason(ours: Cast, model: str) -> None:
    proposal = disputed(model)

    decide(ours.browser("finance"), proposal, "accepted", reason="")

    assert own(ours, model) == []


def test_a_slip_of_the_unit_is_confirmed_twice(ours: Cast, model: str) -> None:
    proposal = disputed(model, {"input": "2500", "output": "10"})
    browser = ours.browser("finance")

    doubted = decide(browser, proposal, "accepted")
    accepted = decide(browser, proposal, "accepted", is_confirmed="on")

    assert "0.0025 USD per token, 2.5 per 1,000, 2500 per million" in words(doubted)
    assert "accepted." in words(accepted)


def test_what_does_not_wait_any_more_is_not_decided(ours: Cast, model: str, owner_dsn: str) -> None:
    proposal = disputed(model)
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("UPDATE price SET status = 'retired' WHERE id = %s", [proposal])

    answer = ours.browser("finance").post(f"{URL}{proposal}/change/", {"verdict": "accepted"})

    assert answer.status_code == 404


def test_a_price_of_our_own_that_begins_later_is_in_the_way(ours: Cast, model: str) -> None:
    proposal = disputed(model)
    later = timezone.now() + timedelta(days=9)
    with tenant(ours.organization.pk):
        make_price(model=model, provider="list", effective_from=later)

    answer = decide(ours.browser("finance"), proposal, "accepted")

    assert "begins later: end it first" in words(answer)
    assert len(own(ours, model)) == 1


@pytest.mark.parametrize("role", ["manager", "auditor"])
def test_readers_see_and_do_not_decide(ours: Cast, model: str, role: str) -> None:
    proposal = disputed(model)
    browser = ours.browser(role)

    page = words(browser.get(f"{URL}{proposal}/change/?verdict=accepted"))

    assert "Finance and owners decide about prices." in page
    assert decide(browser, proposal, "accepted").status_code == 403


def test_shares_are_of_the_first_list() -> None:
    row = proposals.Row("input", Decimal(2), Decimal("2.5"), Decimal(3), is_disputed=True)

    assert (row.difference, row.change) == (Decimal("0.2"), Decimal("0.25"))
    assert proposals.Row("input", None, None, Decimal(3), is_disputed=False).difference is None
