"""Finance uploads, looks, confirms; what happened meanwhile, and what cannot be, is said in words."""

from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from attribution.approvals.models import ApprovalRequest
from attribution.audit.trail import SYSTEM
from attribution.imports import workbooks
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Department, Membership, Organization
from budgets.limits import revisions
from budgets.limits.models import Budget
from budgets.plans.models import BudgetPlan
from tests.cast import Cast
from tests.factories import make_budget

IMPORT = reverse("budgets:plan-import")
COPY = reverse("budgets:plan-copy")
DOWNLOAD = reverse("budgets:plan-download")


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def upload(browser: Client, content: bytes | str, **answers: str) -> tuple[str, str]:
    """Upload a file; return the address and the text of the page that follows."""
    data = content.encode() if isinstance(content, str) else content
    file = SimpleUploadedFile("next year.csv", data)
    response = browser.post(IMPORT, {"file": file, "encoding": "cp1252", **answers}, follow=True)
    return response.request["PATH_INFO"], response.content.decode()


NEW = "name,covers,limit_usd\nNext year,organization,500\n"


def test_a_file_is_previewed_then_applied_once(ours: Cast, browser: Client) -> None:
    address, preview = upload(browser, NEW + "OURS budget,organization,250\n")
    with tenant(ours.organization.pk):
        assert not Budget.objects.filter(name="Next year").exists()

    done = browser.post(address, follow=True).content.decode()
    again = browser.post(address).content.decode()

    assert "nothing is written yet" in preview
    assert "<code>limit_usd</code>: 100 → 250" in preview
    assert "Apply 2 changes" in preview
    assert "Applied: 1 budget added, 1 changed." in done
    assert "nothing is done twice" in again
    with tenant(ours.organization.pk):
        assert Budget.objects.filter(name="Next year").count() == 1
        assert revisions.limit_of(ours.budget) == Decimal(250)


def test_errors_are_listed_by_cell_and_stop_everything(ours: Cast, browser: Client) -> None:
    address, preview = upload(browser, NEW + 'Other,organization,"1,500"\nNone,planet,-5\n')

    assert "2 rows cannot be taken" in preview
    assert "<code>C3</code>" in preview
    assert "could be 1500 or 1.500" in preview
    assert "Apply" not in preview
    assert "correct the file first" in browser.post(address).content.decode()


def test_a_plan_that_calls_would_notice_says_so(browser: Client) -> None:
    rows = "".join(f"B{number},organization,5\n" for number in range(201))

    _address, preview = upload(browser, "name,covers,limit_usd\n" + rows)

    assert "choose a quiet time" in preview
    assert "1 more change is not shown; it is applied too." in preview


def test_what_changed_since_the_preview_is_named_and_nothing_is_written(
    ours: Cast, browser: Client
) -> None:
    address, _preview = upload(browser, NEW + "OURS budget,organization,250\n")
    with tenant(ours.organization.pk):
        revisions.revise(ours.budget, Decimal(120), at=timezone.now(), by=SYSTEM)

    page = browser.post(address).content.decode()

    assert "nothing was written" in page
    assert "<code>limit_usd</code>: 100 → 120" in page
    with tenant(ours.organization.pk):
        assert not Budget.objects.filter(name="Next year").exists()


def test_an_unchanged_export_has_nothing_to_confirm(ours: Cast, browser: Client) -> None:
    for form in ("xlsx", "csv"):
        content = browser.get(DOWNLOAD, {"as": form}).content

        _address, page = upload(browser, content)

        assert "the file says what runs already" in page
        assert "Apply" not in page


def test_the_template_holds_the_running_budgets_and_an_example(browser: Client) -> None:
    response = browser.get(DOWNLOAD, {"example": "1"})

    first, second = (line.cells[0] for line in workbooks.read(response.content).lines[1:3])
    assert 'filename="budgets.xlsx"' in response["Content-Disposition"]
    assert str(first).startswith("# example")
    assert second == "OURS budget"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\xd0\xcf\x11\xe0", "old Excel file"),
        (b"PK\x03\x04", "damaged"),
        (b"name,limit_usd,colour\n", "Unknown column: C1 “colour”"),
        (b"name\n", "limit_usd is missing"),
        (b"name,limit_usd\n" + b"x,1\n" * 10_001, "more than 10,000 rows"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(browser: Client, content: bytes, reason: str) -> None:
    address, page = upload(browser, content)

    assert address == IMPORT
    assert reason in page


def test_a_file_of_windows_is_read_in_its_letters(ours: Cast, browser: Client) -> None:
    text = "name;covers;limit_usd\n市场部;organization;1,5\n"

    _address, preview = upload(browser, text.encode("gb18030"), encoding="gb18030")

    assert "市场部" in preview
    assert "<code>limit_usd</code>: 1.5" in preview


def test_limits_of_a_later_day_are_shown_with_it_and_wait(ours: Cast, browser: Client) -> None:
    address, preview = upload(browser, "name,limit_usd\nOURS budget,250\n", begins_on="2099-01-01")

    browser.post(address)

    assert "1 Jan 2099" in preview
    with tenant(ours.organization.pk):
        assert revisions.limit_of(ours.budget) == Decimal(100)


def test_a_raise_that_needs_a_second_person_is_marked_and_asked_for(
    ours: Cast, browser: Client
) -> None:
    with tenant(ours.organization.pk):
        Organization.objects.update(raise_needs_approval_above=Decimal(50))
        budget = make_budget(name="Campaign", limit="100")
    address, preview = upload(browser, "name,limit_usd\nCampaign,250\n")

    done = browser.post(address, follow=True).content.decode()
    third_address, _third = upload(browser, "name,limit_usd\nCampaign,300\n")
    refused = browser.post(third_address).content.decode()

    assert "the limit waits for a second person" in preview
    assert "1 raise waits for a second person" in done
    assert "waits for a second person already: Campaign" in refused
    with tenant(ours.organization.pk):
        assert ApprovalRequest.objects.filter(subject_id=str(budget.pk)).count() == 1
        assert revisions.limit_of(budget) == Decimal(100)


def test_chosen_budgets_are_copied_with_a_percentage(ours: Cast, browser: Client) -> None:
    chosen = {"budget": str(ours.budget.pk)}
    form = browser.get(COPY, chosen).content.decode()
    answers = {"percent": "10", "rounding": "1", "begins": "next", "reason": "next year"}

    response = browser.post(COPY, {**chosen, **answers}, follow=True)
    browser.post(response.request["PATH_INFO"])

    assert "OURS budget" in form
    assert "<code>limit_usd</code>: 100 → 110" in response.content.decode()
    with tenant(ours.organization.pk):
        assert revisions.limit_of(ours.budget) == Decimal(100)
        assert BudgetPlan.objects.filter(kind="copy").count() == 1


def test_a_copy_of_nothing_says_how_to_choose(theirs: Cast, browser: Client) -> None:
    for asked in ({}, {"budget": "nonsense"}, {"budget": str(theirs.budget.pk)}):
        assert "No budget is chosen" in browser.get(COPY, asked).content.decode()


def test_a_copy_asks_for_its_day_and_its_reason(ours: Cast, browser: Client) -> None:
    answers = {"percent": "-101", "rounding": "1", "begins": "day"}

    page = browser.post(COPY, {"budget": str(ours.budget.pk), **answers}).content.decode()

    assert "Name the day" in page
    assert "greater than or equal to -100" in page


def test_who_sees_only_a_department_plans_nothing(ours: Cast, browser: Client) -> None:
    with tenant(ours.organization.pk):
        person = Membership.objects.filter(user=ours.person("finance"))
        person.update(department=Department.objects.get(pk=ours.department.pk))

    for address in (IMPORT, COPY, DOWNLOAD):
        assert browser.get(address).status_code == 403
