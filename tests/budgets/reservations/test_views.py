"""Finance finds unpriced calls, previews a re-rating, confirms it and sees what it changed."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.imports import workbooks
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Role
from attribution.usage.models import UsageRecord
from budgets.limits.models import BudgetPeriod
from budgets.reservations import holds
from budgets.reservations.models import Rerating
from tests.budgets.rerating import MODEL, clean, priced, report, shut
from tests.factories import (
    make_budget,
    make_cost_center,
    make_department,
    make_member,
    make_organization,
    make_upstream,
)

pytestmark = pytest.mark.usefixtures("committed")
UNPRICED = "/unpriced/"
RERATE = "/re-rate/"
QUERIES = 20


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)  # calls are kept to the millisecond


@pytest.fixture
def organization(committed: None) -> UUID:
    return make_organization().pk


def browser(organization: UUID, role: Role = Role.FINANCE, **narrowed: Any) -> Client:
    with tenant(organization):
        person = make_member(role=role, **narrowed).user
    client = Client()
    client.force_login(person)
    return client


def words(answer: Any) -> str:
    """Return the text of a page without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def month(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m}"


def carried(now: datetime, upstream: UUID) -> None:
    call = holds.Call(holds.mint(now))
    holds.reserve(call, Decimal(9), at=now, worker_id=uuid4(), provider="acme")
    facts = {"model_billed": "hammer-2", "upstream_id": str(upstream), "output_tokens": 77}
    holds.settle(call.id, None, lines=[], **facts)


def test_unpriced_calls_are_listed_by_model_and_upstream(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        report(now - timedelta(seconds=3), now)
        carried(now, make_upstream(name="our relay").pk)
        priced(now, "2", model="hammer-2")
        report(now, model="known", cost=Decimal(1))
    with tenant(make_organization().pk):
        report(now, model="CANARY")

    text = words(browser(organization).get(UNPRICED))

    assert "3 calls of 2 models have no cost" in text
    assert "1 of them has a price now" in text
    assert f"{MODEL} acme made elsewhere 2 2,000,000 200,000" in text
    assert "hammer-2 acme our relay 1 0 77" in text
    assert "Set a price" in text
    assert "Preview re-rating" in text
    assert "known acme" not in text
    assert "CANARY" not in text


def test_the_way_from_an_unpriced_call_to_its_cost(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        make_cost_center(code="LAB")
        make_budget(name="whole", limit="100")
        report(now - timedelta(hours=1), cost_center="LAB")
    client = browser(organization)
    add = link(client.get(UNPRICED).content.decode(), "Set a price")
    rates = {"provider": "acme", "model": MODEL, "input": "2.5", "output": "10"}
    begins = client.get(add).context["adminform"].form["begins_at"].initial
    local = timezone.localtime(begins, UTC)
    asked = {"begins_at_0": f"{local:%Y-%m-%d}", "begins_at_1": f"{local:%H:%M:%S}"}
    assert client.post(add, {**rates, **asked}).status_code == 302

    page = client.get(link(client.get(UNPRICED).content.decode(), "Preview re-rating"))
    shown = words(page)
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode()))
    refused = client.post(RERATE, fields)
    booked = client.post(RERATE, {**fields, "reason": "the price came late"}, follow=True)

    assert "1 call would cost 3.50 USD instead of 0.00 USD" in shown
    assert "LAB 1 1 1,100,000 0.00 3.50 3.50" in shown
    assert "whole, from" in shown
    assert refused.status_code == 422
    assert "Say why" in words(refused)
    assert "1 call was re-rated" in words(booked)
    assert "Every call of the last 13 months has a cost." in words(client.get(UNPRICED))
    with tenant(organization):
        assert UsageRecord.objects.get().cost == Decimal("3.5")
        assert BudgetPeriod.objects.get().spent == Decimal("3.5")
        assert AuditEntry.objects.get(action="rerating.started").changes["reason"][1]
    clean(organization)


def link(html: str, label: str) -> str:
    """Return where the link with a label leads."""
    found = re.search(rf'href="([^"]+)">{label}<', html)
    assert found
    return found[1].replace("&amp;", "&")


def test_the_tables_are_files_with_the_same_figures(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        make_cost_center(code="LAB")
        report(now - timedelta(hours=1), cost_center="LAB", model="=1+1")
        priced(now, "2.5", model="=1+1")
    client = browser(organization)

    page = client.get(RERATE, {"model": "=1+1"}).content.decode()
    files = re.findall(r'href="([^"]+)" download', page)
    by_center = next(url for url in files if "cost_center" in url and "xlsx" not in url)
    center = client.get(by_center.replace("&amp;", "&"))
    sheet = client.get(by_center.replace("&amp;", "&"), {"table": "cost_center", "as": "xlsx"})
    unpriced = client.get(f"{UNPRICED}file/")
    nothing = client.get(f"{RERATE}file/", {"table": "nonsense"})

    assert len(files) == 4
    header, row = center.content.decode().splitlines()
    assert header == "name,calls,unpriced,tokens,was_usd,cost_usd,difference_usd"
    assert row.startswith("LAB,1,1,1100000,0,")
    assert row.endswith(row.split(",")[5])
    assert workbooks.read(sheet.content).lines[1].cells[0] == "LAB"
    assert "'=1+1,acme,," in unpriced.content.decode()
    assert "rerate" in unpriced.content.decode()
    assert nothing.status_code == 404


def test_confirming_twice_books_once(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        report(now)
        priced(now, "2.5")
    client = browser(organization)
    asked = {"first": month(now), "last": month(now), "reason": "late"}

    for _ in range(2):
        client.post(RERATE, asked)

    with tenant(organization):
        figures = Rerating.objects.order_by("created_at").values_list("calls", "cost")
        assert list(figures) == [(1, Decimal("3.5")), (0, Decimal(0))]
    clean(organization)


def test_a_shut_month_is_named_and_left_alone(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        report(now)
        priced(now, "2.5")
        shut(now.astimezone(UTC).date().replace(day=1), "closed")
    client = browser(organization)

    text = words(client.get(RERATE))
    client.post(RERATE, {"first": month(now), "last": month(now), "reason": "late"})

    assert "1 call stands in a month that is reconciled or closed." in text
    assert "Their months are reconciled or closed." in words(client.get(UNPRICED))
    with tenant(organization):
        assert UsageRecord.objects.get().cost is None


def test_months_are_chosen_in_order(organization: UUID, now: datetime) -> None:
    before = month(now.replace(day=1) - timedelta(days=1))

    answer = browser(organization).get(RERATE, {"first": month(now), "last": before})

    assert "The last month lies before the first." in words(answer)


def test_a_model_that_is_billed_by_time_has_no_remedy(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        call = holds.Call(holds.mint(now))
        holds.reserve(call, Decimal(9), at=now, worker_id=uuid4(), provider="acme")
        holds.settle(call.id, None, model_billed=MODEL, usage={"unpriceable": 1}, lines=[])
        priced(now, "2")

    assert "They hold what no price per token covers." in words(browser(organization).get(UNPRICED))


@pytest.mark.parametrize("url", [UNPRICED, RERATE, f"{UNPRICED}file/", f"{RERATE}file/"])
def test_who_sees_only_a_part_is_refused(organization: UUID, url: str) -> None:
    with tenant(organization):
        part = make_department()

    assert browser(organization, department=part).get(url).status_code == 403


def test_an_auditor_looks_and_does_not_book(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        report(now)
        priced(now, "2.5")
    auditor = browser(organization, Role.AUDITOR)

    page = words(auditor.get(RERATE))

    assert "1 call would cost" in page
    assert "Book the difference" not in page
    assert auditor.post(RERATE, {"reason": "x"}).status_code == 403


def test_another_organizations_re_rating_is_not_there(organization: UUID, now: datetime) -> None:
    with tenant(organization):
        report(now)
        priced(now, "2.5")
    asked = {"first": month(now), "last": month(now), "reason": "late"}
    done = browser(organization).post(RERATE, asked)["Location"]

    assert browser(make_organization().pk).get(done).status_code == 404


def test_the_pages_ask_few_questions(
    organization: UUID, now: datetime, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    with tenant(organization):
        for number in range(4):
            report(now, model=f"model-{number}")
    client = browser(organization)

    for url in (UNPRICED, RERATE):
        with django_assert_max_num_queries(QUERIES):
            client.get(url)
