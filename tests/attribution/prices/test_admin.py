"""What finance does with prices in the admin."""

import pytest
from django.test import Client

from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.prices.models import Price
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


def test_a_price_cannot_begin_in_the_past(browser: Client) -> None:
    past = {"begins_at_0": "2020-01-01", "begins_at_1": "00:00"}

    answer = browser.post(
        f"{URL}add/", {"provider": "x", "model": "y", "input": "1", "output": "1", **past}
    )

    assert "begins_at" in answer.context["adminform"].form.errors


def test_ending_our_price_leaves_the_list(ours: Cast, browser: Client) -> None:
    browser.post(URL, {"action": "close", "_selected_action": [str(ours.price.pk)]})

    assert ours.price.model not in browser.get(URL).text
    assert ours.price.model in browser.get(URL + "?when=all").text


def test_the_list_opens_the_form_of_an_own_price(ours: Cast, browser: Client) -> None:
    answer = browser.post(URL, {"action": "override", "_selected_action": [str(ours.price.pk)]})

    assert "input=1" in answer["Location"]
    assert browser.get(answer["Location"]).status_code == 200
