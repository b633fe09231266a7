"""Calls and ledger entries in the admin: found, summed, never changed."""

import pytest
from django.test import Client

from attribution.isolation.transaction import tenant
from tests.cast import Cast
from tests.factories import make_call

CALLS, ENTRIES = "/admin/attribution/usagerecord/", "/admin/attribution/ledgerentry/"


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


@pytest.mark.parametrize("url", [CALLS, ENTRIES])
def test_the_list_sums_what_it_shows(ours: Cast, browser: Client, url: str) -> None:
    with tenant(ours.organization.pk):
        make_call(cost="0.75", cost_center=ours.cost_center)

    totals = dict(browser.get(url).context["cl"].totals)

    assert {str(name): str(value) for name, value in totals.items()} == {"rows": "2", "USD": "2.00"}


def test_a_call_is_found_by_its_id(ours: Cast, browser: Client) -> None:
    page = browser.get(CALLS, {"q": str(ours.call_id)})

    assert [str(call.pk) for call in page.context["cl"].result_list] == [str(ours.call_id)]


def test_their_call_is_not_found(ours: Cast, theirs: Cast, browser: Client) -> None:
    assert not browser.get(CALLS, {"q": str(theirs.call_id)}).context["cl"].result_list
    assert browser.get(f"{CALLS}{theirs.call_id}/change/").status_code == 404


@pytest.mark.parametrize("url", [CALLS, ENTRIES])
def test_nothing_is_changed_here(ours: Cast, url: str) -> None:
    owner = ours.browser("owner")
    with tenant(ours.organization.pk):
        call = f"{CALLS}{ours.call_id}/"

    assert owner.get(f"{url}add/").status_code == 403
    assert owner.get(f"{call}change/").status_code == 200
    assert owner.post(f"{call}change/", {"cost": "0"}).status_code == 403
    assert owner.post(f"{call}delete/").status_code == 403


def test_calls_of_some_days_and_one_cost_center(ours: Cast, browser: Client) -> None:
    page = browser.get(CALLS, {"days": "30", "cost_center": str(ours.cost_center.pk)})

    assert len(page.context["cl"].result_list) == 1
