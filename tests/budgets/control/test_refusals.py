"""Refused calls over HTTP: which budget, with the arithmetic of that moment, for whom it concerns."""

import csv
import io
import re
from decimal import Decimal
from uuid import UUID

import pytest
from django.test import Client

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import CostCenter, Role, User
from attribution.usage.models import UsageRecord
from gateway.keys.models import ApiKey
from tests.factories import call_outcome, make_budget, make_call, make_key
from tests.rollups import Books, books

pytestmark = pytest.mark.usefixtures("committed")
PAGE = "/budgets/refusals/"


def test_an_engineer_pastes_the_request_id_and_reads_the_arithmetic(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.ENGINEER)
        with tenant(made.organization_id):
            key = make_key(name="bot", created_by=person)
            make_budget(name="RND month", limit="10", enforcement="block")
            make_call(cost="8.5")
            make_call(cost="1", state="held")
            make_call(cost="0.123456789012", state="uncertain")
            assert call_outcome(amount="2") == "budget_exceeded"
            call = UsageRecord.objects.get(state="denied")
    belongs(owner_dsn, made, call.pk, key)

    page = signed_in(person).get(PAGE, {"request": f" {call.pk} "}).content.decode()

    text = " ".join(re.sub(r"<[^>]+>", " ", page).split()).replace("\N{MINUS SIGN}", "-")
    assert "RND month stood in the way" in text
    assert (
        "Limit (USD) 10.00 - spent 8.50 - uncertain: charged until the truth arrives 0.123456789012"
        " - held for open calls 1.00 = left at that moment 0.376543210988"
        " the most this call could cost 2.00 short by 1.623456789012"
    ) in text


def test_the_file_holds_the_same_figures(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.FINANCE)
        with tenant(made.organization_id):
            make_budget(name="whole", limit="1", enforcement="block")
            assert call_outcome(amount="3") == "budget_exceeded"

    (row,) = read_csv(signed_in(person))

    assert (row["budget"], row["result"], row["code"]) == ("whole", "refused", "budget_exceeded")
    figures = [Decimal(row[f"{name}_usd"]) for name in ("limit", "remaining", "needed", "missing")]
    assert figures == [1, 1, 3, 2]


def test_what_an_observing_budget_would_have_refused_stands_apart(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.FINANCE)
        with tenant(made.organization_id):
            make_budget(name="shadow", limit="1", enforcement="observe")
            assert call_outcome(amount="3") == "granted"
    member = signed_in(person)

    page = member.get(PAGE).content.decode()

    assert "No budget has refused a call" in page
    assert "would have been refused" in page
    assert [row["result"] for row in read_csv(member, "?kind=observed")] == ["observed"]
    assert read_csv(member, "?kind=refused") == []


def test_an_engineer_sees_the_calls_of_their_own_keys_only(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person, other = made.person(Role.ENGINEER), made.person(Role.ENGINEER)
        with tenant(made.organization_id):
            key = make_key(created_by=other)
            make_budget(name="whole", limit="1", enforcement="block")
            call_outcome(amount="3")
            call = UsageRecord.objects.get()
    belongs(owner_dsn, made, call.pk, key)

    mine = signed_in(person).get(PAGE, {"request": str(call.pk)}).content.decode()

    assert read_csv(signed_in(person)) == []
    assert "There is no call with this id" in mine
    assert len(read_csv(signed_in(other))) == 1


def test_a_key_that_hides_amounts_hides_them_from_its_holder(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person, finance = made.person(Role.ENGINEER), made.person(Role.FINANCE)
        with tenant(made.organization_id):
            key = make_key(created_by=person, is_amount_hidden=True)
            make_budget(name="whole", limit="1.75", enforcement="block")
            call_outcome(amount="3")
            call = UsageRecord.objects.get()
    belongs(owner_dsn, made, call.pk, key)

    page = signed_in(person).get(PAGE, {"request": str(call.pk)}).content.decode()

    assert "whole stood in the way" in " ".join(page.split())
    assert "1.75" not in page
    assert read_csv(signed_in(person))[0]["limit_usd"] == ""
    assert read_csv(signed_in(finance))[0]["limit_usd"] == "1.75"


def test_a_narrowed_manager_sees_the_calls_of_the_department(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        research = made.department("Research")
        center = made.center("RND", department=research)
        person = made.person(Role.MANAGER, department=research)
        with tenant(made.organization_id):
            make_budget(name="whole", limit="1", enforcement="block")
            call_outcome(amount="3")
            assert CostCenter.objects.filter(pk=center).exists()
            call = UsageRecord.objects.get()

    page = signed_in(person).get(PAGE, {"request": str(call.pk)}).content.decode()

    assert read_csv(signed_in(person)) == []
    assert "There is no call with this id" in page


def test_a_call_that_no_budget_refused_is_told_so(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.FINANCE)
        with tenant(made.organization_id):
            call_id = make_call(cost="1")
    member = signed_in(person)

    page = member.get(PAGE, {"request": str(call_id)}).content.decode()

    assert "No budget stood in its way: it is settled" in page
    assert "There is no call with this id" in member.get(PAGE, {"request": "<b>"}).content.decode()


def test_their_refusals_are_not_there(owner_dsn: str) -> None:
    with books(owner_dsn) as theirs, tenant(theirs.organization_id):
        make_budget(name="Their budget", limit="1", enforcement="block")
        call_outcome(amount="3")
        foreign = UsageRecord.objects.get().pk
    with books(owner_dsn) as ours:
        member = signed_in(ours.person(Role.OWNER))

    page = member.get(PAGE, {"request": str(foreign)}).content.decode()

    assert "Their budget" not in page
    assert "There is no call with this id" in page
    assert read_csv(member) == []


@pytest.mark.parametrize("query", ["?kind=odd", "?budget=x", "?range=century", "?cost_center=X"])
def test_a_filter_that_cannot_be_shown_is_named(owner_dsn: str, query: str) -> None:
    with books(owner_dsn) as made:
        member = signed_in(made.person(Role.FINANCE))

    assert 'role="alert"' in member.get(f"{PAGE}{query}").content.decode()
    assert member.get(f"/budgets/refusals.csv{query}").status_code == 400


def belongs(owner_dsn: str, made: Books, call_id: UUID, key: ApiKey) -> None:
    """Say that a key made a call, with the owner's rights: the application may write no calls."""
    with books(owner_dsn, organization_id=made.organization_id) as more:
        more.connection.execute(
            "UPDATE usage_record SET api_key_id = %s, api_key_name = %s WHERE id = %s",
            [key.pk, key.name, call_id],
        )


def read_csv(member: Client, query: str = "") -> list[dict[str, str]]:
    file = member.get(f"/budgets/refusals.csv{query}")
    assert file.status_code == 200, file.content
    return list(csv.DictReader(io.StringIO(file.content.decode())))


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client
