"""Upstreams and routes in the admin: credentials go in and never come out."""

import pytest
from django.conf import settings
from django.test import Client

from attribution.isolation.transaction import tenant
from gateway.routes.models import Route
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream
from tests.cast import Cast

URL = "/admin/gateway/upstream/"
SECRET = "sk-canary-0123456789"
VALID = {
    "name": "OpenAI",
    "kind": "openai",
    "base_url": "https://api.openai.com/v1",
    "credential": SECRET,
    "discount_percent": "0",
    "markup_percent": "0",
    "connect_timeout_s": "5",
    "idle_timeout_s": "60",
    "total_timeout_s": "600",
    "is_active": "on",
}


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give the owner's browser."""
    return ours.browser("owner")


def test_a_credential_opens_for_its_origin_alone(ours: Cast, browser: Client) -> None:
    answer = browser.post(f"{URL}add/", VALID)

    assert answer.status_code == 302
    with tenant(ours.organization.pk):
        upstream = Upstream.objects.get(name="OpenAI")
    origin, _path = kinds.address(upstream.kind, upstream.base_url)
    associated = envelope.bound_to(
        ours.organization.pk, upstream.pk, origin, upstream.credential_version
    )
    private = envelope.private_key(settings.TOLLKEEPER_WRAP_KEY)
    sealed = bytes(upstream.credential_sealed or b"")
    assert envelope.unseal(sealed, private, associated=associated) == SECRET
    for url in (URL, f"{URL}{upstream.pk}/change/", f"{URL}{upstream.pk}/history/"):
        assert SECRET not in browser.get(url).text


def test_a_new_address_asks_for_the_credential_again(ours: Cast, browser: Client) -> None:
    browser.post(f"{URL}add/", VALID)
    with tenant(ours.organization.pk):
        upstream = Upstream.objects.get(name="OpenAI")
    moved = {**VALID, "base_url": "https://api.example.com/v1", "credential": ""}

    answer = browser.post(f"{URL}{upstream.pk}/change/", moved)

    assert "credential" in answer.context["adminform"].form.errors


@pytest.mark.parametrize(
    "address", ["http://api.openai.com/v1", "https://api.openai.com:8443", "https://u:p@x.org"]
)
def test_an_address_that_may_not_be_reached_is_refused(browser: Client, address: str) -> None:
    answer = browser.post(f"{URL}add/", {**VALID, "base_url": address})

    assert "base_url" in answer.context["adminform"].form.errors


def test_a_route_leads_to_our_upstreams_only(ours: Cast, theirs: Cast, browser: Client) -> None:
    def filled(upstream: Upstream) -> dict[str, str]:
        return {
            "name": "gpt-4o-mini",
            "is_active": "on",
            "targets-TOTAL_FORMS": "1",
            "targets-INITIAL_FORMS": "0",
            "targets-0-position": "0",
            "targets-0-weight": "1",
            "targets-0-upstream": str(upstream.pk),
        }

    refused = browser.post("/admin/gateway/route/add/", filled(theirs.upstream))
    made = browser.post("/admin/gateway/route/add/", filled(ours.upstream))

    assert refused.status_code == 200
    assert made.status_code == 302
    with tenant(ours.organization.pk):
        assert Route.objects.get(name="gpt-4o-mini").targets.get().upstream == ours.upstream
