"""The pages of anomalies: who sees which, what they say, and what people make of them."""

import csv
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.insights.models import Anomaly, Verdict
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Department, Role
from tests.attribution.insights.days import Days
from tests.attribution.insights.rows import make_anomaly
from tests.cast import Cast
from tests.factories import (
    make_cost_center,
    make_department,
    make_member,
)

LIST = "/anomalies/"


@pytest.fixture
def finance(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def added(ours: Cast, **columns: Any) -> Anomaly:
    """Add an anomaly of ours."""
    with tenant(ours.organization.pk):
        return make_anomaly(**{"cost_center": ours.cost_center, **columns})


def judged(ours: Cast, browser: Client, status: str, note: str = "") -> int:
    """Give the cast's anomaly a status; return what the page answered."""
    url = f"{LIST}{ours.anomaly_id}/status/"
    return browser.post(url, {"status": status, "note": note}).status_code


def kept(ours: Cast) -> Anomaly:
    """Return the cast's anomaly."""
    with tenant(ours.organization.pk):
        return Anomaly.objects.select_related("status_by").get(pk=ours.anomaly_id)


def test_the_list_says_where_how_much_and_when(ours: Cast, theirs: Cast, finance: Client) -> None:
    page = finance.get(LIST).text

    assert "1 anomaly: 160.00 USD more than expected" in page
    assert f"{ours.cost_center.code} · OURS-model" in page
    assert "+160.00" in page
    assert "CANARY-B" not in page


def test_the_reason_is_told_in_words(ours: Cast, finance: Client) -> None:
    reason = {
        "is_complete": True, "is_new": False,
        "price": "-5", "volume": "7", "intensity": "7", "mix": "8",
        "named": [{"dimension": "api_key", "value": "x", "name": "nightly", "change": "17"}],
    }  # fmt: skip
    row = added(ours, expected="7", actual="24", reason=reason)

    page = finance.get(LIST).text
    shown = finance.get(f"{LIST}{row.pk}/").text

    assert "mix +8.00, volume +7.00, intensity +7.00, price \N{MINUS SIGN}5.00" in page
    assert "API key nightly +17.00" in page
    assert "17.00 USD more than expected" in shown
    assert "more or fewer tokens per call" in shown


def test_new_spend_and_calls_that_are_gone_are_said(ours: Cast, finance: Client) -> None:
    row = added(ours, expected="0", actual="24", reason={"is_complete": True, "is_new": True})

    assert "New spend" in finance.get(f"{LIST}{row.pk}/").text
    assert "Its calls are not all at hand" in finance.get(f"{LIST}{ours.anomaly_id}/").text


def test_finance_gives_a_status_with_a_note_and_it_is_audited(ours: Cast, finance: Client) -> None:
    assert judged(ours, finance, "expected", "load test") == 302

    row = kept(ours)
    assert (row.status, row.note) == (Verdict.EXPECTED, "load test")
    assert row.status_by == ours.person("finance")
    with tenant(ours.organization.pk):
        entry = AuditEntry.objects.filter(action="anomaly.changed").get()
    assert entry.actor_id == ours.person("finance").pk
    assert entry.changes["status"] == ["new", "expected"]
    page = finance.get(f"{LIST}{ours.anomaly_id}/").text
    assert "load test" in page
    assert "Status: new → expected" in page


def test_a_status_that_does_not_exist_changes_nothing(ours: Cast, finance: Client) -> None:
    assert judged(ours, finance, "gone") == 200
    assert judged(ours, finance, "expected", "x" * 501) == 200

    assert kept(ours).status == Verdict.NEW


def test_owners_and_managers_judge_and_nobody_else(ours: Cast) -> None:
    answers = {role: judged(ours, ours.browser(role), "acknowledged") for role in Role.values}

    assert answers == {
        "owner": 302,
        "finance": 302,
        "manager": 302,
        "engineer": 403,
        "auditor": 403,
    }


def test_a_manager_of_another_department_sees_none_of_it(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        membership = ours.memberships["manager"]
        membership.department = make_department()
        membership.save()
    browser = ours.browser("manager")

    assert "OURS-model" not in browser.get(LIST).text
    assert browser.get(f"{LIST}{ours.anomaly_id}/").status_code == 404
    assert judged(ours, browser, "expected") == 404
    assert kept(ours).status == Verdict.NEW


def test_a_manager_of_the_department_judges_its_anomalies(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        membership = ours.memberships["manager"]
        membership.department = Department.objects.get(pk=ours.department.pk)
        membership.save()

    assert judged(ours, ours.browser("manager"), "expected") == 302


def test_an_engineer_sees_the_anomalies_of_their_keys_alone(ours: Cast) -> None:
    mine = added(ours, model="mine", api_key_id=ours.key.pk, api_key_name="OURS key")
    other = added(ours, model="other", api_key_id=ours.organization.pk, api_key_name="other key")
    whole = added(ours, model="whole")
    engineer, finance = ours.browser("engineer"), ours.browser("finance")

    page = engineer.get(LIST).text

    assert f"{ours.cost_center.code} · mine · OURS key" in page
    assert "other key" not in page
    assert "whole" not in page
    assert engineer.get(f"{LIST}{mine.pk}/").status_code == 200
    assert engineer.get(f"{LIST}{other.pk}/").status_code == 404
    assert engineer.get(f"{LIST}{whole.pk}/").status_code == 404
    assert "mine · OURS key" not in finance.get(LIST).text  # the cost center's own tells it


def test_finance_sees_of_single_keys_what_people_were_told_of(ours: Cast, finance: Client) -> None:
    keys = {"api_key_id": ours.key.pk, "api_key_name": "OURS key"}
    told = added(ours, model="m-told", is_alerting=True, **keys)
    silent = added(ours, model="m-silent", **keys)

    page = finance.get(LIST).text

    assert "m-told · OURS key" in page
    assert "m-silent" not in page
    assert finance.get(f"{LIST}{told.pk}/").status_code == 200
    assert finance.get(f"{LIST}{silent.pk}/").status_code == 404


def test_a_key_that_was_replaced_is_still_its_owners(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        ours.key.lineage_id = ours.organization.pk
        ours.key.save()
    row = added(ours, model="old", api_key_id=ours.organization.pk, api_key_name="OURS key")

    assert ours.browser("engineer").get(f"{LIST}{row.pk}/").status_code == 200


def test_filters_are_in_the_url(ours: Cast, finance: Client) -> None:
    with tenant(ours.organization.pk):
        elsewhere = make_cost_center(code="ELSE")
    added(ours, model="m-else", cost_center=elsewhere)
    added(ours, model="m-done", status=Verdict.EXPECTED)
    added(ours, model="m-old", at=timezone.now() - timedelta(days=60))

    def models(query: str) -> set[str]:
        page = finance.get(f"{LIST}?{query}").text
        return {name for name in ("OURS-model", "m-else", "m-done", "m-old") if name in page}

    assert models("") == {"OURS-model", "m-else"}
    assert models("cost_center=ELSE") == {"m-else"}
    assert models("status=expected") == {"m-done"}
    assert models("range=90d&status=all") == {"OURS-model", "m-else", "m-done", "m-old"}
    assert models("range=90d") == {"OURS-model", "m-else", "m-old"}
    assert "cannot be shown" in finance.get(f"{LIST}?cost_center=THEIRS").text


def test_an_hour_of_a_day_that_is_told_is_not_told_twice(ours: Cast, finance: Client) -> None:
    day = added(ours, model="twice")
    hour = {"granularity": "hour", "at": day.ends_at - timedelta(hours=3), "model": day.model}
    added(ours, **hour, actual="77")
    added(ours, **hour | {"model": "alone"}, actual="88")

    both, hours = finance.get(LIST).text, finance.get(f"{LIST}?by=hour").text

    assert "77.00" not in both
    assert "88.00" in both
    assert "77.00" in hours


def test_the_largest_stands_first_and_pages_follow(ours: Cast, finance: Client) -> None:
    for n in range(55):
        added(ours, model=f"m-{n:02}", expected="0", actual=str(1000 + n))

    first = finance.get(LIST)
    second = finance.get(LIST + first.context["page"]["next_url"])

    lines = [*first.context["page"]["lines"], *second.context["page"]["lines"]]
    amounts = [line.row.impact for line in lines]
    assert len(amounts) == 56
    assert amounts == sorted(amounts, reverse=True)
    assert not second.context["page"]["next_url"]


def test_an_empty_list_teaches(ours: Cast, finance: Client) -> None:
    with tenant(ours.organization.pk):
        Anomaly.objects.update(status=Verdict.EXPECTED)

    assert "two weeks of calls" in finance.get(LIST).text
    assert "No anomaly is like this" in finance.get(f"{LIST}?status=new&range=today").text


def test_the_list_does_not_ask_once_per_row(
    ours: Cast,
    finance: Client,
    django_assert_max_num_queries: Callable[[int], AbstractContextManager[object]],
) -> None:
    for n in range(20):
        added(ours, model=f"m-{n}")

    with django_assert_max_num_queries(20):
        finance.get(LIST)


def test_the_chart_its_table_and_the_file_say_the_same(committed: None) -> None:
    days = Days()
    days.every_day(40, lambda ago: "200" if ago == 1 else "40")
    days.look()
    (row,) = days.by_day()
    with tenant(days.organization.pk):
        person = make_member(role=Role.FINANCE).user
    browser = Client()
    browser.force_login(person)

    chart = browser.get(f"{LIST}{row.pk}/").context["chart"]
    file = browser.get(f"{LIST}{row.pk}/series.csv")

    lines = list(csv.DictReader(io.StringIO(file.text.lstrip("\ufeff"))))
    assert [Decimal(line["actual_usd"]) for line in lines] == [r[1] for r in chart.table.rows]
    assert sum(series.total for series in chart.series[:2]) == sum(r[1] for r in chart.table.rows)
    (unusual,) = [line for line in lines if line["is_unusual"] == "yes"]
    assert (unusual["expected_usd"], unusual["usual_to_usd"]) == ("40", "50")
    assert (unusual["actual_usd"], unusual["difference_usd"]) == ("200", "160")


def test_the_way_to_the_calls_is_one_click(committed: None) -> None:
    days = Days()
    days.every_day(21, lambda ago: "200" if ago == 1 else "40", **days.key())
    rows = [row for row in days.look() if row.granularity == "day"]
    with tenant(days.organization.pk):
        Anomaly.objects.update(is_alerting=True)
        person = make_member(role=Role.FINANCE).user
    browser = Client()
    browser.force_login(person)

    assert len(rows) == 2  # of the cost center, and of its key
    for row in rows:
        drill = browser.get(f"{LIST}{row.pk}/").context["drill"]
        for page in ("/calls/", "/explorer/"):
            answer = browser.get(page + drill)
            assert answer.status_code == 200
            assert "cannot be shown" not in answer.text
            assert "200.00" in answer.text
