"""The Overview over HTTP: the same exact numbers in charts, tables and files, for members only."""

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.tenancy.models import Role, User
from tests.factories import make_call, make_cost_center
from tests.rollups import books

pytestmark = pytest.mark.usefixtures("committed")
OVERVIEW = "/"
QUERIES = 29  # of which 6 belong to session, person and tenant transaction, 3 to forecasts


def test_the_same_amount_stands_in_chart_table_and_file(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        rnd, sales = made.center("RND"), made.center("SALES")
        made.rollup(hour(), center=rnd, cost="1.100000000001", calls=3)
        made.rollup(hour(), center=sales, cost="0.2")
        person = made.person(Role.MANAGER)
    member = signed_in(person)

    page = member.get(OVERVIEW).content.decode()
    rows = read_csv(member, "daily")

    drawn = json.loads(re.search(r'id="data-daily"[^>]*>(.*?)</script>', page)[1])  # type: ignore[index]
    assert {s["label"]: Decimal(s["values"][-1]) for s in drawn["series"]} == {
        "RND": Decimal("1.100000000001"),
        "SALES": Decimal("0.2"),
    }
    assert (rows[0]["RND"], rows[0]["SALES"], rows[0]["total_usd"]) == (
        "1.100000000001",
        "0.2",
        "1.300000000001",
    )
    assert 'title="1.300000000001"' in page


def test_a_new_call_is_on_the_page_at_once_and_changes_the_stamp(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        center = made.center("RND")
        made.rollup(hour(), center=center, cost="0.5")
        person = made.person(Role.FINANCE)
    member = signed_in(person)
    before = stamp(member)

    with books(owner_dsn, organization_id=made.organization_id) as more:
        more.rollup(hour(), center=center, value="gpt-4o-mini", cost="0.25")

    assert stamp(member) != before
    assert read_csv(member, "share")[0]["cost_usd"] == "0.75"


def test_a_settled_call_stands_in_every_panel_after_one_advance(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.MANAGER)
        with tenant(made.organization_id):
            center = make_cost_center(code="LIVE")
            make_call(cost="1.234567890123", cost_center=center, model="gpt-4.1", user="ana")

    rollups.advance()

    member = signed_in(person)
    assert read_csv(member, "daily")[0]["LIVE"] == "1.234567890123"
    assert read_csv(member, "share")[0]["cost_usd"] == "1.234567890123"
    assert read_csv(member, "users")[0]["user"] == "ana"
    assert read_csv(member, "users")[0]["cost_usd"] == "1.234567890123"
    assert read_csv(member, "calls")[0]["cost_usd"] == "1.234567890123"


def test_a_page_costs_the_same_number_of_queries_with_many_rows(
    owner_dsn: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with books(owner_dsn) as made:
        for n in range(30):
            center = made.center(f"C{n:02}")
            made.budget(f"Budget {n}", limit="100", spent=str(n), center=center)
            made.rollup(hour(), center=center, cost="1")
            made.rollup(hour(), center=center, facet="user", value=f"u{n}", cost="1")
        made.latencies(hour(), [100, 200, 300])
        person = made.person(Role.MANAGER)
    member = signed_in(person)

    with django_assert_max_num_queries(QUERIES):
        answer = member.get(OVERVIEW)

    assert answer.status_code == 200


@pytest.mark.parametrize("language", ["en", "fr", "zh-hans"])
def test_an_organization_without_any_row_gets_a_page_that_teaches(
    owner_dsn: str, language: str
) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.ENGINEER)
    member = signed_in(person)

    answer = member.get(OVERVIEW, headers={"Accept-Language": language})

    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.content.decode()
    assert "tk_live_" in answer.content.decode()


def test_an_empty_range_leads_back_to_the_newest_calls(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.rollup(datetime(2023, 11, 16, 18, tzinfo=UTC), cost="5")
        person = made.person(Role.MANAGER)
    member = signed_in(person)

    empty = member.get(OVERVIEW).content.decode()
    charted = read_csv(member, "daily", "?range=custom&from=2023-11-01&to=2023-11-30")

    assert "range=custom&amp;from=2023-11-01&amp;to=2023-11-30" in empty
    assert sum(Decimal(row["total_usd"]) for row in charted) == Decimal(5)


def test_only_those_who_may_set_budgets_are_asked_to(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        finance, engineer = made.person(Role.FINANCE), made.person(Role.ENGINEER)

    assert "Set a budget" in signed_in(finance).get(OVERVIEW).content.decode()
    assert "Set a budget" not in signed_in(engineer).get(OVERVIEW).content.decode()


@pytest.mark.parametrize("panel", ["daily", "share", "budgets", "latency", "users", "calls"])
def test_every_panel_is_a_file_and_a_table(owner_dsn: str, panel: str) -> None:
    with books(owner_dsn) as made:
        center = made.center("RND")
        made.budget("RND month", limit="10", center=center)
        made.rollup(hour(), center=center, cost="1")
        made.rollup(hour(), center=center, facet="user", value="=cmd()", cost="1")
        made.latencies(hour(), [100])
        person = made.person(Role.AUDITOR)
    member = signed_in(person)

    file = member.get(reverse("budgets:overview-download", args=[panel]))
    table = member.get(reverse("budgets:overview-table", args=[panel]))

    assert file["Content-Type"] == "text/csv; charset=utf-8"
    assert file["Content-Disposition"].endswith(f'-{panel}.csv"')
    assert table.content.decode().lstrip().startswith("<table")


def test_a_name_that_is_a_formula_is_harmless_in_a_file_and_on_the_page(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.rollup(hour(), facet="user", value="=1+1<script>", cost="1")
        person = made.person(Role.MANAGER)
    member = signed_in(person)

    assert read_csv(member, "users")[0]["user"] == "'=1+1<script>"
    assert "=1+1<script>" not in member.get(OVERVIEW).content.decode()


def test_a_person_narrowed_to_a_department_sees_its_cost_centers_only(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        research = made.department("Research")
        rnd, sales = made.center("RND", department=research), made.center("SALES")
        for center in (rnd, sales, None):
            made.rollup(hour(), center=center, cost="1")
        made.budget("Whole", limit="10")
        made.budget("SALES month", limit="10", center=sales)
        person = made.person(Role.MANAGER, department=research)
    member = signed_in(person)

    page = member.get(OVERVIEW).content.decode()

    assert "SALES" not in page
    assert "Whole" not in page
    assert read_csv(member, "daily")[0]["total_usd"] == "1"
    assert member.get(OVERVIEW, {"cost_center": "SALES"}).status_code == 200
    assert file_status(member, "?cost_center=SALES") == 400


def test_their_figures_and_cost_centers_are_not_there(owner_dsn: str) -> None:
    with books(owner_dsn) as theirs:
        theirs.rollup(hour(), center=theirs.center("THEIRS"), cost="5")
        theirs.budget("Their budget", limit="10")
    with books(owner_dsn) as ours:
        person = ours.person(Role.OWNER)
    member = signed_in(person)

    page = member.get(OVERVIEW).content.decode()

    assert "THEIRS" not in page
    assert "Their budget" not in page
    assert file_status(member, "?cost_center=THEIRS") == 400


def test_a_filter_that_cannot_be_shown_is_named_and_the_default_shown(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.MANAGER)
    member = signed_in(person)

    page = member.get(OVERVIEW, {"range": "<b>century"}).content.decode()

    assert "range: &lt;b&gt;century" in page
    assert file_status(member, "?range=century") == 400
    assert member.get("/overview/nothing.csv").status_code == 404


def test_a_stranger_is_sent_to_sign_in() -> None:
    answer = Client().get(OVERVIEW)

    assert (answer.status_code, answer["Location"].split("?")[0]) == (
        302,
        reverse("attribution:sign-in"),
    )


def test_every_page_comes_with_the_strict_content_policy(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.MANAGER)
    member = signed_in(person)

    policy = member.get(OVERVIEW)["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def hour() -> datetime:
    return timezone.now().replace(minute=0, second=0, microsecond=0)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def read_csv(member: Client, panel: str, query: str = "") -> list[dict[str, str]]:
    file = member.get(reverse("budgets:overview-download", args=[panel]) + query)
    return list(csv.DictReader(io.StringIO(file.content.decode())))


def file_status(member: Client, query: str) -> int:
    return member.get(reverse("budgets:overview-download", args=["daily"]) + query).status_code


def stamp(member: Client) -> str:
    return str(member.get(reverse("budgets:overview-stamp")).json()["stamp"])
