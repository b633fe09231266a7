"""Finance plans budgets in a browser: the template comes down, goes up again, and limits calls."""

import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Instance
from tests.e2e.test_keys import sign_in

pytestmark = pytest.mark.e2e


def test_a_template_is_filled_in_previewed_applied_and_limits(
    page: Page, instance: Instance, tmp_path: Path
) -> None:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    sign_in(page, instance, "finance")
    page.goto(f"{instance.url}/admin/budgets/budget/")
    page.get_by_role("link", name="Import", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="the same as CSV").click()
    file = tmp_path / "plan.csv"
    download.value.save_as(file)
    template = file.read_bytes()

    bad = f"{name},user,{name},,,,,,,,,-5\r\n"
    file.write_bytes(template + bad.encode())
    upload(page, file)
    expect(page.get_by_text("1 row cannot be taken")).to_be_visible()
    expect(page.get_by_text("is negative")).to_be_visible()
    expect(page.get_by_role("button", name="Apply")).to_have_count(0)

    page.get_by_role("link", name="Import budgets").click()
    file.write_bytes(template + bad.replace("-5", "0").encode())
    upload(page, file)
    expect(page.get_by_role("heading", name="nothing is written yet")).to_be_visible()
    page.get_by_role("button", name="Apply 1 change").click()
    expect(page.get_by_text("Applied: 1 budget added")).to_be_visible()

    page.get_by_role("link", name="Show the budgets").click()
    expect(page.get_by_role("link", name=name)).to_be_visible()
    page.get_by_role("link", name=name).click()
    page.get_by_label("Enforcement").select_option("block")
    page.get_by_role("button", name="Save", exact=True).click()
    assert refused_by(page, instance, name) == name


def test_a_raise_that_waits_is_approved_by_another_person(page: Page, instance: Instance) -> None:
    sign_in(page, instance, "owner")
    page.get_by_role("link", name="Approvals").click()
    page.get_by_role("link", name="Decide").first.click()
    page.get_by_role("button", name="Approve").click()

    expect(page.get_by_text("Approved: it is done as it was asked for.")).to_be_visible()
    expect(page.get_by_role("heading", name="Decided")).to_be_visible()


def upload(page: Page, file: Path) -> None:
    """Choose a file and ask for its preview."""
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Preview").click()


def refused_by(page: Page, instance: Instance, user: str) -> str:
    """Let a program call as a user; return the name of the budget that refuses it."""
    answer = page.request.post(
        f"{instance.told['gateway_url']}/v1/chat/completions",
        headers={"Authorization": f"Bearer {instance.told['api_key']}", "X-User-ID": user},
        data={"model": "demo", "messages": [{"role": "user", "content": "hello"}]},
    )
    assert answer.status == 402, answer.text()
    return str(answer.json()["error"]["budget"]["name"])
