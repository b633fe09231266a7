"""A runaway agent, from the list to what people make of it; its engineer sees the same of the key."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Instance
from tests.e2e.test_keys import sign_in

pytestmark = pytest.mark.e2e


def test_a_manager_finds_out_why_and_says_what_it_is(page: Page, instance: Instance) -> None:
    sign_in(page, instance, "manager")
    page.get_by_role("link", name="Anomalies", exact=True).click()
    expect(page.locator("p.finding")).to_contain_text("more than expected")
    rows = page.locator("tbody tr", has_text="API key Agents")
    rows.first.get_by_role("link").click()

    expect(page.locator("p.finding")).to_contain_text("more than expected")
    expect(page.locator("canvas")).to_be_visible()
    expect(page.get_by_role("region", name="Why")).to_contain_text("volume")
    page.get_by_text("As table").click()
    expect(page.get_by_role("region", name="Cost per day")).to_contain_text("yes")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.endswith(".csv")

    page.get_by_label("Expected: later days are not compared with these").check()
    page.get_by_label("Note").fill("rehearsal of the launch")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Status: new → expected")).to_be_visible()

    page.get_by_role("link", name="Anomalies", exact=True).first.click()
    page.get_by_label("Status").select_option("expected")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert "status=expected" in page.url


def test_an_engineer_sees_what_their_key_did(page: Page, instance: Instance) -> None:
    sign_in(page, instance, "engineer")
    page.get_by_role("link", name="Anomalies", exact=True).click()

    rows = page.locator("tbody tr")
    assert rows.count() > 0
    assert all("Agents" in text for text in rows.all_inner_texts())
    rows.first.get_by_role("link").click()
    expect(page.locator("canvas")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
