"""The Overview in a real browser: drawn, live, by keyboard, in every width and language."""

import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e
CHARTS = ("daily", "share", "latency")


def test_every_chart_is_drawn_and_stands_as_a_table(page: Page, instance: Any) -> None:
    sign_in(page, instance)

    for name in CHARTS:
        page.locator(f"#table-{name} summary").click()
        expect(page.locator(f"#table-{name} tbody tr").first).to_be_visible()
    assert page.evaluate("[...document.querySelectorAll('canvas')].every(c => Chart.getChart(c))")
    expect(page.locator("[data-freshness]")).to_contain_text(":")


def test_a_call_appears_on_the_open_page_with_its_cost_and_cost_center(
    page: Page, instance: Any
) -> None:
    sign_in(page, instance)
    user = f"live-{uuid.uuid4().hex[:8]}"

    answer = page.request.post(
        f"{instance.told['gateway_url']}/v1/chat/completions",
        headers={
            "Authorization": f"Bearer {instance.told['api_key']}",
            "X-Cost-Center": "MARKETING",
            "X-User-ID": user,
        },
        data={"model": "demo", "messages": [{"role": "user", "content": "Hello"}]},
    )

    assert answer.ok
    row = page.locator("#figure-calls tbody tr", has_text=user)
    expect(row).to_contain_text(
        "settled", timeout=2_000
    )  # the promise: within two seconds of the answer
    expect(row).to_contain_text("MARKETING")
    expect(row).to_contain_text(answer.headers["x-cost-usd"])


def test_the_points_of_a_chart_are_read_by_keyboard(page: Page, instance: Any) -> None:
    sign_in(page, instance)
    chart = page.locator("canvas[data-chart='data-daily']")
    voice = page.locator("#figure-daily [data-chart-voice]")

    chart.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")

    expect(voice).to_contain_text("USD")
    expect(voice).to_contain_text("Total")


def test_a_filter_is_chosen_by_keyboard_and_stands_in_the_address(
    page: Page, instance: Any
) -> None:
    sign_in(page, instance)

    menu = page.locator("summary", has_text="Cost centers:")
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="MARKETING").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    page.wait_for_url("**cost_center=MARKETING**")
    expect(page.locator("#figure-share .legend li")).to_have_count(1)


def test_a_menu_closes_with_escape_and_gives_the_focus_back(page: Page, instance: Any) -> None:
    sign_in(page, instance)
    menu = page.locator("summary", has_text="Time range:")

    menu.click()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")

    expect(page.locator("details.menu[open]")).to_have_count(0)
    expect(menu).to_be_focused()


def test_rows_are_sorted_by_exact_values(page: Page, instance: Any) -> None:
    sign_in(page, instance)
    column = page.locator("#figure-users tbody td:nth-child(3)")

    page.locator("#figure-users").get_by_role("button", name="Calls").click()

    counts = [int(cell) for cell in column.evaluate_all("cells => cells.map(c => c.dataset.value)")]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("width", [390, 768, 1024, 1440])
@pytest.mark.parametrize("language", ["fr", "zh-hans"])
def test_the_page_never_scrolls_sideways(
    page: Page, instance: Any, width: int, language: str
) -> None:
    sign_in(page, instance)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": instance.url}])
    page.set_viewport_size({"width": width, "height": 900})

    page.goto("/")

    expect(page.locator("html")).to_have_attribute("lang", language)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_theme_holds_on_every_page_the_admin_included(page: Page, instance: Any) -> None:
    sign_in(page, instance)

    page.locator("summary", has_text="Theme").click()
    page.get_by_role("button", name="Dark").click()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/admin/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def sign_in(page: Page, instance: Any) -> None:
    """Sign in as the manager of the demo; the Overview opens."""
    login = instance.login("manager")
    page.goto("/sign-in/")
    page.get_by_label("E-mail").fill(login["email"])
    page.get_by_label("Password").fill(login["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#overview")).to_be_visible()
    expect(page.locator(".drawing-waiting")).to_have_count(0)
