"""From a limit in the admin to a refused call: finance decides, the gateway obeys, the engineer knows why."""

import uuid

import openai
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Instance

pytestmark = pytest.mark.e2e


def test_a_hard_budget_set_in_the_admin_refuses_the_next_call(
    page: Page, instance: Instance
) -> None:
    user = f"spender-{uuid.uuid4().hex[:8]}"
    client = openai.OpenAI(
        base_url=f"{instance.told['gateway_url']}/v1",
        api_key=instance.told["api_key"],
        default_headers={"X-User-ID": user, "X-Cost-Center": "MARKETING"},
        max_retries=0,
    )
    _say(client)

    sign_in(page, instance)
    expect(page.locator("h1")).to_contain_text("Overview")
    page.get_by_role("link", name="Admin").first.click()
    page.get_by_role("link", name="Budgets", exact=True).last.click()
    page.get_by_role("link", name="Add budget").click()
    page.locator("#id_name").fill(user)
    page.locator("#id_covers").select_option("user")
    page.locator("#id_covered_user").fill(user)
    page.locator("#id_limit").fill("0.000001")
    page.locator("#id_enforcement").select_option("block")
    page.locator("#id_thresholds-0-value").fill("80")
    page.locator("input[name=_save]").click()
    expect(page.locator("#result_list tbody tr", has_text=user)).to_contain_text("block")

    with pytest.raises(openai.APIStatusError) as refused:
        _say(client)

    assert (refused.value.status_code, refused.value.code) == (402, "budget_exceeded")
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["budget"]["name"] == user
    assert refused.value.body["budget"]["limit"].startswith("0.000001")

    page.locator("#result_list tbody tr", has_text=user).get_by_role("link").first.click()
    page.locator("#id_limit").fill("1")
    page.locator("#id_reason").fill("Needed for the launch")
    page.locator("input[name=_save]").click()
    expect(page.locator("#result_list tbody tr", has_text=user)).to_contain_text("1.00")
    _say(client)


def sign_in(page: Page, instance: Instance) -> None:
    """Enter as finance."""
    login = instance.login("finance")
    page.goto("/sign-in/")
    page.locator("#id_username").fill(login["email"])
    page.locator("#id_password").fill(login["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def _say(client: openai.OpenAI) -> None:
    client.chat.completions.create(
        model="demo", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
    )
