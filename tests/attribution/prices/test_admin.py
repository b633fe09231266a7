"""What finance does with prices in the admin."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.prices.models import Price
from attribution.prices.overrides import OFFERED
from tests.cast import Cast

URL = "/admin/attribution/price/"


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def test_a_price_of_our_own_is_opened(ours: Cast, browser: Client) -> None:
    rates = {"input": "2.5", "output": "10", "begins_at_0": "", "begins_at_1": ""}

    answer = browser.post(f"{URL}add/", {"provider": "openai", "model": "special", **rates})

    assert answer.status_code == 302
    with tenant(ours.organization.pk):
        price = Price.objects.own().get(model="special")
    assert price.rates == {"base": {"input": "2.5", "output": "10"}}
    assert price.effective_to is None


def test_a_second_price_for_the_same_model_is_refused(ours: Cast, browser: Client) -> None:
    same = {"provider": ours.price.provider, "model": ours.price.model}

    answer = browser.post(f"{URL}add/", {**same, "input": "1", "output": "1"})

    assert "model" in answer.context["adminform"].form.errors


def test_changing_a_price_closes_it_and_opens_its_successor(ours: Cast, browser: Client) -> None:
    answer = browser.post(f"{URL}{ours.price.pk}/change/", {"input": "3", "output": "4"})

    assert answer.status_code == 302
    with tenant(ours.organization.pk):
        old, new = Price.objects.own().order_by("effective_from")
        actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert old.pk == ours.price.pk
    assert old.rates["base"] == {"input": "1", "output": "2"}
    assert old.effective_to == new.effective_from
    assert new.rates["base"] == {"input": "3", "output": "4"}
    assert {"price.closed", "price.opened"} <= actions


def test_a_closed_price_stays_as_it_is(ours: Cast, browser: Client) -> None:
    browser.post(f"{URL}{ours.price.pk}/change/", {"input": "3", "output": "4"})

    answer = browser.post(f"{URL}{ours.price.pk}/change/", {"input": "5", "output": "5"})

    assert answer.status_code == 403
    assert browser.get(f"{URL}{ours.price.pk}/change/").status_code == 200


def test_a_price_may_begin_in_the_past_and_says_what_that_does(ours: Cast, browser: Client) -> None:
    past = {"begins_at_0": "2026-01-02", "begins_at_1": "03:04"}

    answer = browser.post(
        f"{URL}add/",
        {"provider": "x", "model": "y", "input": "1", "output": "1", **past},
        follow=True,
    )

    with tenant(ours.organization.pk):
        price = Price.objects.own().get(model="y")
    assert price.effective_from == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert "keep their cost until they are re-rated" in answer.text


@pytest.mark.parametrize("day", ["2019-12-31", "2026-01-01"])
def test_a_change_begins_after_what_it_follows(ours: Cast, browser: Client, day: str) -> None:
    past = {"begins_at_0": day, "begins_at_1": "00:00"}

    answer = browser.post(f"{URL}{ours.price.pk}/change/", {"input": "3", "output": "4", **past})

    assert "begins_at" in answer.context["adminform"].form.errors


def test_a_price_is_not_opened_in_a_time_that_had_one(ours: Cast, browser: Client) -> None:
    browser.post(URL, {"action": "close", "_selected_action": [str(ours.price.pk)]})
    before = timezone.localtime(ours.price.effective_from - timedelta(days=1))
    past = {"begins_at_0": f"{before:%Y-%m-%d}", "begins_at_1": "00:00"}
    same = {"provider": ours.price.provider, "model": ours.price.model}

    answer = browser.post(f"{URL}add/", {**same, "input": "1", "output": "1", **past})

    assert "begins_at" in answer.context["adminform"].form.errors


@pytest.mark.parametrize(
    ("rate", "said"), [("0.0005", "0.0000000005 USD per token"), ("2000", "2 per 1,000")]
)
def test_a_slip_of_the_unit_is_asked_about(
    ours: Cast, browser: Client, rate: str, said: str
) -> None:
    asked = {"provider": "openai", "model": "special", "input": rate, "output": "10"}

    doubted = browser.post(f"{URL}add/", asked)
    opened = browser.post(f"{URL}add/", {**asked, "is_confirmed": "on"})

    assert said in doubted.text
    assert 'name="is_confirmed"' in doubted.text
    assert opened.status_code == 302


def test_a_tenfold_change_is_asked_about(ours: Cast, browser: Client) -> None:
    answer = browser.post(f"{URL}{ours.price.pk}/change/", {"input": "10", "output": "2"})

    assert "(before: 1)" in answer.text


def test_a_rate_that_is_emptied_falls_back(ours: Cast, browser: Client) -> None:
    change = f"{URL}{ours.price.pk}/change/"
    first = browser.post(change, {"input": "3", "output": "4", "cache_read": "1"})
    with tenant(ours.organization.pk):
        one = Price.objects.own().latest("effective_from")
    browser.post(f"{URL}{one.pk}/change/", {"input": "3", "output": "4"})

    assert first.status_code == 302
    with tenant(ours.organization.pk):
        two = Price.objects.own().latest("effective_from")
    assert one.rates["base"] == {"input": "3", "output": "4", "cache_read": "1"}
    assert two.rates["base"] == {"input": "3", "output": "4"}


def test_every_rate_that_people_set_is_offered(ours: Cast, browser: Client) -> None:
    rates = dict.fromkeys(OFFERED, "1.5")

    browser.post(f"{URL}add/", {"provider": "openai", "model": "special", **rates})

    with tenant(ours.organization.pk):
        assert Price.objects.own().get(model="special").rates == {"base": rates}


def test_ending_our_price_leaves_the_list(ours: Cast, browser: Client) -> None:
    browser.post(URL, {"action": "close", "_selected_action": [str(ours.price.pk)]})

    assert ours.price.model not in browser.get(URL).text
    assert ours.price.model in browser.get(URL + "?when=all").text


def test_the_list_opens_the_form_of_an_own_price(ours: Cast, browser: Client) -> None:
    answer = browser.post(URL, {"action": "override", "_selected_action": [str(ours.price.pk)]})

    assert "input=1" in answer["Location"]
    assert browser.get(answer["Location"]).status_code == 200


def test_the_list_leads_to_proposals_and_to_unpriced_usage(ours: Cast) -> None:
    finance, manager = (ours.browser(role).get(URL).text for role in ("finance", "manager"))

    assert 'href="/admin/attribution/priceproposal/"' in finance
    assert 'href="/unpriced/"' in finance
    assert 'href="/unpriced/"' not in manager
