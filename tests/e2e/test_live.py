"""The Live page in a real browser: a call shows up, filters hold, a pause holds, a lost connection is told."""

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_overview import sign_in

pytestmark = pytest.mark.e2e


def test_a_call_shows_up_on_the_open_page_with_who_and_how_much(page: Page, instance: Any) -> None:
    listen(page, instance)
    user = f"live-{uuid.uuid4().hex[:8]}"

    answer = call(page, instance, user)

    row = page.locator("[data-live-rows] tr", has_text=user)
    expect(row).to_be_visible(timeout=5_000)
    expect(row).to_contain_text("MARKETING")
    expect(row).to_contain_text("demo")
    expect(row).to_contain_text(answer.headers["x-cost-usd"])
    expect(page.locator("[data-live-figure='calls-60']")).not_to_have_text("0")
    expect(page.locator("[data-live-finding]")).to_contain_text("USD")
    expect(page.locator("[data-live-empty]")).to_be_hidden()


def test_the_page_begins_with_the_last_minutes(page: Page, instance: Any) -> None:
    listen(page, instance)
    user = f"before-{uuid.uuid4().hex[:8]}"
    call(page, instance, user)
    expect(page.locator("[data-live-rows] tr", has_text=user)).to_be_visible()

    page.reload()

    expect(page.locator("[data-live-rows] tr", has_text=user)).to_be_visible()
    page.locator("#table-live summary").click()
    expect(page.locator("[data-live-steps] tr")).to_have_count(30)
    assert page.evaluate("Boolean(Chart.getChart(document.querySelector('[data-live-chart]')))")


def test_a_filter_is_chosen_by_keyboard_stands_in_the_address_and_holds(
    page: Page, instance: Any
) -> None:
    listen(page, instance)
    mine, other = f"mine-{uuid.uuid4().hex[:6]}", f"other-{uuid.uuid4().hex[:6]}"

    menu = page.locator("summary", has_text="Cost centers:")
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="RND").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**cost_center=RND**")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    call(page, instance, other)
    call(page, instance, mine, center="RND")

    expect(page.locator("[data-live-rows] tr", has_text=mine)).to_be_visible()
    expect(page.locator("[data-live-rows] tr", has_text=other)).to_have_count(0)


def test_a_pause_holds_the_page_and_counts_what_waits(page: Page, instance: Any) -> None:
    listen(page, instance)
    user = f"waits-{uuid.uuid4().hex[:8]}"
    row = page.locator("[data-live-rows] tr", has_text=user)

    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.locator("[data-live-state]")).to_have_text("paused")
    call(page, instance, user)
    expect(page.locator("[data-live-waiting]")).to_have_text(re.compile(r"[1-9]\d*$"))
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Resume").click()

    expect(row).to_be_visible()
    expect(page.locator("[data-live-state]")).to_have_text("live")


def test_a_lost_connection_is_told_and_found_again(page: Page, instance: Any) -> None:
    page.add_init_script(
        "window.sockets = []; const Real = WebSocket;"
        "window.WebSocket = class extends Real {"
        " constructor(...a) { super(...a); sockets.push(this); } };"
    )
    listen(page, instance)
    user = f"again-{uuid.uuid4().hex[:8]}"

    page.evaluate("sockets.at(-1).close()")
    expect(page.locator("[data-live-state]")).to_contain_text("trying again")
    call(page, instance, user)

    expect(page.locator("[data-live-state]")).to_have_text("live", timeout=10_000)
    expect(page.locator("[data-live-rows] tr", has_text=user)).to_have_count(1)


def test_signing_out_elsewhere_ends_the_page_s_stream(page: Page, instance: Any) -> None:
    listen(page, instance)

    token = page.evaluate("document.querySelector('[name=csrfmiddlewaretoken]').value")
    page.request.post(
        "/sign-out/", form={"csrfmiddlewaretoken": token}, headers={"Referer": instance.url}
    )

    expect(page.locator("[data-live-state]")).to_contain_text("sign in", timeout=15_000)


@pytest.mark.parametrize("width", [390, 768, 1024, 1440])
@pytest.mark.parametrize("language", ["fr", "zh-hans"])
def test_the_page_never_scrolls_sideways(
    page: Page, instance: Any, width: int, language: str
) -> None:
    listen(page, instance)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": instance.url}])
    page.set_viewport_size({"width": width, "height": 900})

    page.reload()
    call(page, instance, "a-rather-long-user-name-of-forty-letters")

    expect(page.locator("[data-live-rows] tr").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def listen(page: Page, instance: Any) -> None:
    """Open the page as the manager of the demo."""
    sign_in(page, instance)
    page.get_by_role("link", name="Live", exact=True).click()
    expect(page.locator("[data-live-state]")).to_have_text("live")


def call(page: Page, instance: Any, user: str, *, center: str = "MARKETING") -> Any:
    """Make a call as a program."""
    answer = page.request.post(
        f"{instance.told['gateway_url']}/v1/chat/completions",
        headers={
            "Authorization": f"Bearer {instance.told['api_key']}",
            "X-Cost-Center": center,
            "X-User-ID": user,
        },
        data={"model": "demo", "messages": [{"role": "user", "content": "Hello"}]},
    )
    assert answer.ok
    return answer
