"""The Live page, what it begins with, and who sees how much of it."""

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Membership, Organization
from gateway.live import recent
from tests.cast import Cast
from tests.factories import make_call, make_cost_center, make_route


def begun(browser: Client, query: str = "") -> Any:
    answer = browser.get(f"/live/recent/{query}")
    assert answer.status_code == 200
    return answer.json()


def settings_of(page: str) -> Any:
    found = re.search(r'<script id="live-settings"[^>]*>(.*?)</script>', page)
    assert found
    return json.loads(found[1])


def test_the_page_carries_its_filters_into_the_stream(ours: Cast) -> None:
    browser = ours.browser("manager")

    page = browser.get("/live/?cost_center=OURS-CC&model=a,b&min_cost=0.05").content.decode()

    told = settings_of(page)
    assert told["hello"]["filters"] == {
        "cost_centers": ["OURS-CC"],
        "models": ["a,b"],
        "min_cost_usd": "0.05",
    }
    assert "cost_center=OURS-CC&model=a%2Cb&min_cost=0.05" in told["recent"]
    assert 'aria-current="page"' in page
    assert "OURS-route" in page


def test_a_page_without_calls_teaches_how_to_send_one(ours: Cast) -> None:
    page = ours.browser("engineer").get("/live/").content.decode()

    assert "/v1/chat/completions" in page
    assert "$TOLLKEEPER_KEY" in page
    assert "tk_live_" not in page


@pytest.mark.parametrize(
    "query", ["min_cost=much", "min_cost=-1", "min_cost=NaN", "min_cost=1e-40", "model=%00"]
)
def test_a_filter_that_cannot_be_read_is_named_and_everything_shown(ours: Cast, query: str) -> None:
    page = ours.browser("manager").get(f"/live/?{query}").content.decode()

    assert "The filter cannot be read" in page
    assert settings_of(page)["hello"]["filters"]["min_cost_usd"] is None
    assert ours.browser("manager").get(f"/live/recent/?{query}").status_code == 400


def test_it_begins_with_the_calls_of_the_last_minutes_to_the_last_digit(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        make_call(cost="0.000000000001", cost_center=ours.cost_center, model="m", user="ada")

    found = begun(ours.browser("finance"))

    assert sum(one[1] for one in found["sums"]) == 2
    assert sum(Decimal(one[2]) for one in found["sums"]) == Decimal("1.250000000001")
    assert sum(one[3] for one in found["sums"]) == 1
    assert {event["cost_usd"] for event in found["newest"]} == {"1.25", "0.000000000001"}
    assert sorted(event["anomaly"] for event in found["newest"]) == [False, True]
    assert set(found["overlap"]) == {event["request_id"] for event in found["newest"]}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?cost_center=OURS-CC", 1),
        ("?cost_center=OTHER", 1),
        ("?cost_center=NOBODY", 0),
        ("?model=OURS-model", 1),
        ("?min_cost=1.25", 1),
        ("?min_cost=1.26", 0),
        ("?cost_center=OTHER&model=OURS-model", 0),
    ],
)
def test_a_filter_holds_for_what_it_begins_with(ours: Cast, query: str, count: int) -> None:
    with tenant(ours.organization.pk):
        make_call(cost="0.5", cost_center=make_cost_center(code="OTHER"), model="other")

    assert len(begun(ours.browser("finance"), query)["newest"]) == count


def test_a_manager_narrowed_to_a_department_begins_with_it_only(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        make_call(cost="0.5", cost_center=make_cost_center(code="OTHER"), model="other")
        make_call(cost="0.5", cost_center=None, model="other")
        Membership.objects.filter(role="manager").update(department=ours.department)

    browser = ours.browser("manager")

    centers = {event["cost_center"] for event in begun(browser)["newest"]}
    assert centers == {"OURS-CC"}
    assert not begun(browser, "?cost_center=OTHER")["newest"]
    assert "OTHER" not in browser.get("/live/").content.decode()


def test_nobody_sees_the_calls_of_another_organization(ours: Cast, theirs: Cast) -> None:
    for path in ("/live/", "/live/recent/", "/live/live.csv"):
        assert "CANARY-B" not in ours.browser("owner").get(path).content.decode()


def test_the_file_has_a_line_for_every_bar(ours: Cast) -> None:
    answer = ours.browser("finance").get("/live/live.csv")

    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert 29 <= len(rows) <= 31
    assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal("1.25")
    assert sum(int(row["unusual_calls"]) for row in rows) == 1


def test_what_is_unusual_is_the_organization_s_word(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        Organization.objects.update(anomaly_call_usd=Decimal("2"))

    found = begun(ours.browser("finance"))

    assert not any(event["anomaly"] for event in found["newest"])
    assert "2.00 USD" in ours.browser("finance").get("/live/").content.decode()


def test_too_many_calls_to_look_at_are_counted_from_a_stated_moment_on(
    ours: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "MOST", 1)

    found = begun(ours.browser("finance"))

    assert found["since"] > recent.instant_text(timezone.now() - timedelta(minutes=14))


def test_the_page_asks_little_of_the_database(
    ours: Cast, django_assert_max_num_queries: Any
) -> None:
    with tenant(ours.organization.pk):
        for n in range(20):
            make_route(name=f"route-{n}", upstream=ours.upstream)
            make_cost_center(code=f"CC-{n}")
    browser = ours.browser("manager")

    with django_assert_max_num_queries(16):
        browser.get("/live/")
    with django_assert_max_num_queries(14):
        browser.get("/live/recent/")
