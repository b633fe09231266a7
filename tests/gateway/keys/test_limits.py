"""Rate limits in the admin: those of a key on its page, those of others in a list of their own."""

import pytest
from django.test import Client

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from gateway.keys.models import ApiKey, RateLimit
from tests.cast import Cast

URL = "/admin/gateway/ratelimit/"
LIMITS = {"requests_per_minute": "60", "tokens_per_minute": "9000", "concurrent_streams": "3"}


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def test_the_organization_is_limited_once(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        before = Organization.objects.get().policy_epoch

    first = browser.post(f"{URL}add/", {"cost_center": "", **LIMITS})
    second = browser.post(f"{URL}add/", {"cost_center": "", **LIMITS})

    assert (first.status_code, second.status_code) == (302, 200)
    assert "Another one has this value already." in second.text
    with tenant(ours.organization.pk):
        limit = RateLimit.objects.get(cost_center=None)
        assert Organization.objects.get().policy_epoch > before
    assert (limit.requests_per_minute, limit.tokens_per_minute) == (60, 9000)


def test_a_limit_of_nothing_is_refused(ours: Cast, browser: Client) -> None:
    page = browser.post(f"{URL}add/", {"cost_center": "", "requests_per_minute": "0"})

    assert "greater than or equal to 1" in page.text


def test_a_key_shows_and_keeps_its_limits(ours: Cast, browser: Client) -> None:
    url = f"/admin/gateway/apikey/{ours.key.pk}/change/"

    page = browser.get(url).text
    answer = browser.post(url, {"name": "OURS key", "enrich": "full", **LIMITS})

    assert 'name="concurrent_streams" value="1000"' in page
    assert answer.status_code == 302
    with tenant(ours.organization.pk):
        key = ApiKey.objects.get(pk=ours.key.pk)
    assert (key.requests_per_minute, key.concurrent_streams) == (60, 3)
