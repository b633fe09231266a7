"""A key's life and an upstream's test, from the browser to the gateway and back."""

import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Instance

pytestmark = pytest.mark.e2e


def test_a_key_is_issued_used_replaced_and_revoked(page: Page, instance: Instance) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    sign_in(page, instance, "finance")
    page.get_by_role("link", name="Keys", exact=True).click()
    page.get_by_role("link", name="Issue a key").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Allowed models").fill("demo")
    page.get_by_role("button", name="Issue the key").click()
    first = page.locator("#secret").inner_text()
    assert call(page, instance, first) == 200

    page.get_by_role("link", name="I have kept it: continue").click()
    page.get_by_role("link", name="Replace the secret").click()
    page.get_by_label("1 hour").check()
    page.get_by_role("button", name="Replace the secret").click()
    second = page.locator("#secret").inner_text()
    assert (call(page, instance, first), call(page, instance, second)) == (200, 200)

    page.get_by_role("link", name="I have kept it: continue").click()
    expect(page.get_by_text("Another secret of this key")).to_be_visible()
    page.get_by_role("link", name="Revoke", exact=True).click()
    page.get_by_label("Name of the key").fill(name)
    page.get_by_role("button", name="Revoke this key").click()
    assert (call(page, instance, first), call(page, instance, second)) == (200, 401)

    row = page.locator("tbody tr", has_text=name)
    expect(row).to_have_count(1)
    expect(row).to_contain_text("ends soon")
    for _ in range(20):
        page.reload()
        if "never" not in row.inner_text():
            break
        page.wait_for_timeout(1000)
    expect(row).not_to_contain_text("never")


def test_an_upstream_is_tested_from_its_page(page: Page, instance: Instance) -> None:
    sign_in(page, instance, "owner")
    page.get_by_role("link", name="Upstreams", exact=True).click()
    page.get_by_role("link", name="demo", exact=True).click()
    page.get_by_role("button", name="Test now").click()

    expect(page.locator("#test")).to_contain_text("It answers offline", timeout=15_000)


def sign_in(page: Page, instance: Instance, role: str) -> None:
    """Enter as somebody of the demo."""
    login = instance.login(role)
    page.goto("/sign-in/")
    page.locator("#id_username").fill(login["email"])
    page.locator("#id_password").fill(login["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def call(page: Page, instance: Instance, token: str) -> int:
    """Make a call with a key and return its status."""
    answer = page.request.post(
        f"{instance.told['gateway_url']}/v1/chat/completions",
        headers={"Authorization": f"Bearer {token}", "X-Cost-Center": "MARKETING"},
        data={"model": "demo", "messages": [{"role": "user", "content": "Hello"}]},
    )
    return answer.status
