"""What people are told: the bell, their choice, a channel and its test, from the browser to the outbox."""

import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Instance

pytestmark = pytest.mark.e2e


def test_finance_reads_a_note_and_chooses_what_comes_by_mail(
    page: Page, instance: Instance
) -> None:
    sign_in(page, instance, "finance")
    bell = page.locator("[data-bell]")
    for _ in range(60):  # the demo's first alerts are gathered within seconds of its start
        page.goto("/notifications/")
        if page.locator(".note-open").count():
            break
        page.wait_for_timeout(1000)
    expect(bell.locator("[data-bell-count]")).to_be_visible()

    page.locator(".note-open").first.click()
    page.goto("/notifications/")
    page.get_by_role("link", name="Choose what you are told").click()
    page.get_by_label("only when calls are refused").check()
    page.get_by_label("every morning").check()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("Saved: it holds from the next message on.")).to_be_visible()
    expect(page.get_by_label("only when calls are refused")).to_be_checked()


def test_a_channel_is_added_and_its_test_message_arrives(page: Page, instance: Instance) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    sign_in(page, instance, "finance")
    page.get_by_role("link", name="Channels", exact=True).click()
    page.get_by_role("link", name="Add a channel").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Kind").select_option("slack")
    expect(page.get_by_label("Mailbox")).to_be_hidden()
    page.get_by_label("Address").fill("http://10.0.0.1/hook")
    page.get_by_role("button", name="Add the channel").click()
    expect(page.get_by_text("Only https on port 443")).to_be_visible()

    page.get_by_label("Kind").select_option("email")
    page.get_by_label("Mailbox").fill(f"{name}@example.com")
    page.get_by_role("button", name="Add the channel").click()
    page.get_by_role("button", name="Send a test message").click()

    for _ in range(60):
        page.goto(f"/notifications/history/?search={name}")
        if page.get_by_text("delivered", exact=True).count() > 1:  # one is the filter's choice
            break
        page.wait_for_timeout(1000)
    expect(page.locator("tbody tr")).to_contain_text("delivered")
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Test message to {name}")


def sign_in(page: Page, instance: Instance, role: str) -> None:
    """Enter as somebody of the demo."""
    login = instance.login(role)
    page.goto("/sign-in/")
    page.locator("#id_username").fill(login["email"])
    page.locator("#id_password").fill(login["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
