"""The pages of budgets in a real browser: a manager looks, finance raises, an engineer asks who refused."""

import csv
import io
import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Instance

pytestmark = pytest.mark.e2e
AMOUNTS = ("limit", "spent", "held", "uncertain", "remaining")


def test_a_manager_finds_the_budget_that_needs_a_look(page: Page, instance: Instance) -> None:
    sign_in(page, instance, "manager")
    page.get_by_role("link", name="Budgets", exact=True).first.click()
    expect(page.locator(".finding")).to_contain_text("%")

    page.get_by_label("Scope").select_option("cost_center")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**scope=cost_center**")
    expect(page.locator("tfoot")).to_contain_text("Total")
    page.get_by_role("link", name="Spent", exact=True).click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Spent")
    page.get_by_role("link", name="Tree", exact=True).click()
    expect(page.locator("tr[aria-level='4']").first).to_be_visible()

    page.get_by_role("link", name="SUPPORT", exact=True).click()
    expect(page.locator("h1")).to_have_text("SUPPORT")
    expect(page.locator(".drawing-waiting")).to_have_count(0)
    assert page.evaluate("[...document.querySelectorAll('canvas')].every(c => Chart.getChart(c))")
    page.locator("#table-daily summary").click()
    expect(page.locator("#table-daily tbody tr").first).to_be_visible()
    expect(page.get_by_role("link", name="Raise for a while")).to_have_count(0)


def test_finance_raises_a_limit_for_a_while_and_takes_it_back(
    page: Page, instance: Instance
) -> None:
    reason = f"launch {uuid.uuid4().hex[:8]}"
    sign_in(page, instance, "finance")
    page.goto("/budgets/?q=SALES")
    page.get_by_role("link", name="SALES", exact=True).click()
    page.get_by_role("link", name="Raise for a while").click()
    page.get_by_label("Added to the limit").fill("12.5")
    page.get_by_label("Until").fill("2030-01-01T08:00")
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Raise for a while").click()
    expect(page.locator(".error").first).to_contain_text("For more than a year")

    page.get_by_label("Until").fill(page.evaluate(SOON))
    page.get_by_role("button", name="Raise for a while").click()
    row = page.locator("tbody tr", has_text=reason)
    expect(row).to_contain_text("running")
    row.get_by_role("link", name="Revoke").click()
    page.get_by_label("Reason").fill("the launch moved")
    page.get_by_role("button", name="Revoke this override").click()
    expect(page.locator("tbody tr", has_text=reason)).to_contain_text("revoked")


def test_an_engineer_pastes_the_request_id_of_a_refused_call(
    page: Page, instance: Instance
) -> None:
    set_limit(page, instance, "DEFAULT", "10")
    answer = ask(page, instance, "DEFAULT")
    set_limit(page, instance, "DEFAULT", "100")
    request_id = answer.headers["x-request-id"]
    budget = answer.json()["error"]["budget"]
    assert answer.status == 402

    sign_in(page, instance, "engineer")
    page.goto("/budgets/refusals/")
    page.get_by_label("Which budget blocked me").fill(request_id)
    page.keyboard.press("Enter")

    found = page.locator("section", has=page.locator("#title-refusal"))
    expect(found).to_contain_text(f"{budget['name']} stood in the way")
    expect(found).to_contain_text(request_id)
    told = [re.sub(r"[^\d.-]", "", cell) for cell in found.locator("td.number").all_inner_texts()]
    assert [number(text) for text in told[:4]] == [
        number(budget[name]) for name in ("limit", "spent", "uncertain", "held")
    ]
    assert number(told[5]) == number(budget["needed"])


def test_a_key_is_told_the_same_figures_as_the_page(page: Page, instance: Instance) -> None:
    sign_in(page, instance, "engineer")

    file = page.request.get("/budgets.csv?q=MARKETING")
    told = page.request.get(
        f"{instance.told['gateway_url']}/v1/budgets",
        headers={
            "Authorization": f"Bearer {instance.told['api_key']}",
            "X-Cost-Center": "MARKETING",
        },
    )

    (row,) = csv.DictReader(io.StringIO(file.text()))
    (budget,) = [one for one in told.json()["data"] if one["name"] == row["budget"]]
    assert {name: row[f"{name}_usd"] for name in AMOUNTS} == {n: budget[n] for n in AMOUNTS}
    assert (row["enforcement"], row["state"]) == (budget["enforcement"], budget["state"])


def test_no_page_of_budgets_scrolls_sideways(page: Page, instance: Instance) -> None:
    sign_in(page, instance, "finance")
    wide = []

    for path in ("", "?view=tree", "refusals/", "alerts/", "overrides/", "overrides/new/"):
        page.goto(f"/budgets/{path}")
        for width in (390, 1024, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                wide.append((path, width))

    assert not wide


SOON = """() => {
  const soon = new Date(Date.now() + 48 * 3600 * 1000);
  return soon.toISOString().slice(0, 16);
}"""


def set_limit(page: Page, instance: Instance, name: str, limit: str) -> None:
    """Let finance set another limit, from the budget's page on."""
    sign_in(page, instance, "finance")
    page.goto(f"/budgets/?q={name}")
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name="Change", exact=True).click()
    page.locator("#id_limit").fill(limit)
    page.locator("#id_reason").fill("a test of refusals")
    page.locator("input[name=_save]").click()
    page.wait_for_url("**/admin/budgets/budget/**")


def ask(page: Page, instance: Instance, center: str) -> Any:
    """Make a call and return its answer, whatever it is."""
    return page.request.post(
        f"{instance.told['gateway_url']}/v1/chat/completions",
        headers={
            "Authorization": f"Bearer {instance.told['api_key']}",
            "X-Cost-Center": center,
        },
        data={"model": "demo", "messages": [{"role": "user", "content": "Hello"}]},
    )


def number(text: str) -> str:
    """Return an amount without the zeros at its end."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def sign_in(page: Page, instance: Instance, role: str) -> None:
    """Enter as somebody of the demo."""
    login = instance.login(role)
    page.context.clear_cookies()
    page.goto("/sign-in/")
    page.locator("#id_username").fill(login["email"])
    page.locator("#id_password").fill(login["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
