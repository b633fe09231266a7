"""Keys in the admin: shown once, replaced, revoked."""

import re

import pytest
from django.conf import settings
from django.test import Client

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from gateway.keys import tokens
from gateway.keys.models import ApiKey
from gateway.keys.tokens import Peppers
from tests.cast import Cast

URL = "/admin/gateway/apikey/"
VALID = {
    "name": "nightly",
    "enrich": "full",
    "scopes": ["call"],
    "allowed_models": "gpt-4o-mini, claude-*",
}


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def test_a_new_key_is_shown_once(ours: Cast, browser: Client) -> None:
    page = browser.post(f"{URL}add/", VALID).text

    found = re.search(r"tk_live_\w+", page)
    assert found
    token = tokens.parse(found[0])
    assert token
    with tenant(ours.organization.pk):
        key = ApiKey.objects.get(kid=token.kid)
    peppers = Peppers.from_setting(settings.TOLLKEEPER_KEY_PEPPER)
    assert peppers.is_digest(bytes(key.secret_hash), token.secret, key.pepper_version)
    assert key.allowed_models == ["gpt-4o-mini", "claude-*"]
    for url in (URL, f"{URL}{key.pk}/change/", f"{URL}{key.pk}/history/"):
        assert token.secret not in browser.get(url).text


def test_a_revoked_key_stays_as_it_is(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        before = Organization.objects.get().policy_epoch

    browser.post(URL, {"action": "revoke", "_selected_action": [str(ours.key.pk)]})

    assert browser.post(f"{URL}{ours.key.pk}/change/", VALID).status_code == 403
    with tenant(ours.organization.pk):
        assert ApiKey.objects.get(pk=ours.key.pk).revoked_at is not None
        assert Organization.objects.get().policy_epoch > before


def test_a_key_is_replaced_by_its_successor(ours: Cast, browser: Client) -> None:
    page = browser.post(URL, {"action": "rotate", "_selected_action": [str(ours.key.pk)]}).text

    assert "tk_live_" in page
    with tenant(ours.organization.pk):
        old = ApiKey.objects.get(pk=ours.key.pk)
        new = ApiKey.objects.exclude(pk=ours.key.pk).get()
    assert old.expires_at is not None
    assert new.cost_center_id == old.cost_center_id


def test_an_unknown_cost_center_is_refused(browser: Client) -> None:
    answer = browser.post(f"{URL}add/", {**VALID, "allowed_cost_centers": "NOWHERE"})

    assert "allowed_cost_centers" in answer.context["adminform"].form.errors


def test_a_budget_can_cover_a_key(ours: Cast, browser: Client) -> None:
    page = browser.get("/admin/budgets/budget/add/").text

    assert f"api_key:{ours.key.pk}" in page
