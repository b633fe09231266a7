"""The Explorer: the figures of the API and of the ledger, whatever is asked, down to single calls."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from attribution.dashboards.names import DIMENSIONS
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Role
from attribution.usage.models import UsageRecord
from tests.attribution.reports.house import DAYS, House

pytestmark = pytest.mark.usefixtures("committed")
EXPLORER = "attribution:explorer-show"


@pytest.fixture(scope="module")
def house(django_db_blocker: Any) -> House:
    """Give an organization with calls of forty days."""
    with django_db_blocker.unblock():
        return House("Asia/Kathmandu", seed=7)


@pytest.fixture
def finance(house: House) -> Client:
    """Sign finance in."""
    return house.person(Role.FINANCE)


def whole(house: House) -> str:
    first = house.today - timedelta(days=DAYS)
    return f"range=custom&from={first}&to={house.today}"


def page(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.content[:500]
    shown: dict[str, Any] = answer.context["page"]
    return shown


@pytest.mark.parametrize("by", DIMENSIONS)
@pytest.mark.parametrize("interval", ["hour", "day", "month"])
def test_every_dimension_adds_up_to_the_same_total(
    house: House, finance: Client, by: str, interval: str
) -> None:
    shown = page(finance.get(f"{reverse(EXPLORER)}?{whole(house)}&by={by}&interval={interval}"))

    first = house.today - timedelta(days=DAYS)
    told = house.told(query=f"start={first}&end={house.today}&group_by=model")
    assert sum(line.sums.cost for line in shown["lines"]) == Decimal(told["total"]["cost_usd"])
    assert shown["total"].calls == told["total"]["requests"]
    drawn = sum((series.total for series in shown["chart"].series), Decimal(0))
    assert drawn == Decimal(told["total"]["cost_usd"])


def test_days_are_named_and_shaded_as_the_organization_lives_them(
    house: House, finance: Client
) -> None:
    shown = page(finance.get(f"{reverse(EXPLORER)}?{whole(house)}&by=model&interval=day"))

    table = shown["chart"].table
    days = [row[0] for row in table.rows]
    with tenant(house.organization.pk):
        times = UsageRecord.objects.filter(state="settled").values_list("occurred_at", flat=True)
        wanted = {at.astimezone(house.zone).date() for at in times}
    assert set(days) == wanted
    assert shown["chart"].shaded == tuple(n for n, day in enumerate(days) if day.weekday() >= 5)


def test_two_dimensions_are_told_apart_together_unless_both_have_many_values(
    house: House, finance: Client
) -> None:
    both = page(finance.get(f"{reverse(EXPLORER)}?{whole(house)}&by=feature&then=model"))
    many = page(finance.get(f"{reverse(EXPLORER)}?{whole(house)}&by=feature&then=user"))

    assert {line.names for line in both["lines"]} >= {("search", "m-1"), ("chat", "m-3")}
    assert "group_by" in many["problem"]


def test_a_group_leads_to_what_is_inside_it_and_to_its_calls(house: House, finance: Client) -> None:
    shown = page(finance.get(f"{reverse(EXPLORER)}?{whole(house)}&by=user"))
    ada = next(line for line in shown["lines"] if line.names == ("ada",))

    inside = page(finance.get(f"{reverse(EXPLORER)}{ada.url}"))
    calls = page(finance.get(ada.calls_url))["book"]

    assert inside["total"].cost == ada.sums.cost
    assert {line.call.user_id for line in calls.lines} == {"ada"}
    assert len(calls.lines) == min(50, ada.sums.calls)


def test_pages_of_calls_hold_each_call_once(house: House, finance: Client) -> None:
    seen: list[Any] = []
    url = f"{reverse('attribution:call-list')}?{whole(house)}&feature=search"
    while url:
        book = page(finance.get(url))["book"]
        seen += [line.call.pk for line in book.lines]
        url = f"{reverse('attribution:call-list')}{book.next_url}" if book.next_url else ""

    with tenant(house.organization.pk):
        wanted = set(UsageRecord.objects.filter(feature="search").values_list("pk", flat=True))
    assert set(seen) == wanted
    assert seen == sorted(seen, reverse=True)


def test_a_call_shows_entries_that_add_up_to_its_cost(house: House, finance: Client) -> None:
    with tenant(house.organization.pk):
        call = UsageRecord.objects.exclude(cost=None).order_by("pk")[0]

    shown = page(finance.get(reverse("attribution:call-show", args=[call.pk])))

    assert sum(entry.usd_amount for entry in shown["entries"]) == call.cost
    assert finance.get(reverse("attribution:call-show", args=[uuid4()])).status_code == 404


def test_the_files_have_every_group(house: House, finance: Client) -> None:
    asked = f"{whole(house)}&by=cost_center&then=model"
    csv = finance.get(f"{reverse('attribution:explorer-download', args=['csv'])}?{asked}")
    xlsx = finance.get(f"{reverse('attribution:explorer-download', args=['xlsx'])}?{asked}")
    lines = csv.content.decode().splitlines()

    assert lines[0].startswith("cost_center,model,calls,unpriced_calls,tokens,cost_usd")
    shown = page(finance.get(f"{reverse(EXPLORER)}?{asked}"))
    assert len(lines) - 1 == len(shown["lines"])
    assert xlsx.content.startswith(b"PK")
    assert re.search(r'filename=".*-explorer\.xlsx"', xlsx["Content-Disposition"])


def test_a_manager_of_a_department_sees_its_calls_only(house: House) -> None:
    manager = house.person(Role.MANAGER, is_narrowed=True)
    alpha = house.centers["ALPHA"].pk

    shown = page(manager.get(f"{reverse(EXPLORER)}?{whole(house)}"))
    calls = page(manager.get(f"{reverse('attribution:call-list')}?{whole(house)}"))["book"]
    with tenant(house.organization.pk):
        other = UsageRecord.objects.exclude(cost_center_id=alpha).order_by("pk")[0]

    assert {line.names for line in shown["lines"]} == {("ALPHA",)}
    assert {line.call.cost_center_id for line in calls.lines} == {alpha}
    assert manager.get(reverse("attribution:call-show", args=[other.pk])).status_code == 404


@pytest.mark.parametrize(
    "query", ["by=colour", "measure=taste", "interval=week", "after=-1", "department=x", "user=\0"]
)
def test_what_cannot_be_meant_is_named_and_the_usual_question_shown(
    house: House, finance: Client, query: str
) -> None:
    shown = page(finance.get(f"{reverse(EXPLORER)}?{query}"))

    assert shown["problem"]
    assert shown["asked"].by == "cost_center"
    assert finance.get(f"{reverse('attribution:call-list')}?before=x").status_code == 400
