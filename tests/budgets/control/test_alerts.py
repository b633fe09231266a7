"""The history of alerts over HTTP: what was crossed, who was told, who has seen to it."""

import csv
import io

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Role, User
from budgets.alerts.models import Alert
from budgets.notifications import delivery, gathering
from budgets.notifications.models import Acknowledgement
from tests.factories import make_budget, make_call
from tests.rollups import Books, books

pytestmark = pytest.mark.usefixtures("committed")
PAGE = "/budgets/alerts/"
QUERIES = 22  # of which 9 belong to session, person and tenant transaction


def test_an_alert_stands_with_its_amounts_and_who_was_told(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.FINANCE)
        cross(made)
    gathering.gather(made.organization_id)
    delivery.deliver(made.organization_id)

    (row,) = read_csv(signed_in(person))

    assert (row["budget"], row["threshold"], row["actual_usd"]) == ("RND month", "80", "8.5")
    assert person.email in row["delivered_to"] or str(person) in row["delivered_to"]
    page = " ".join(signed_in(person).get(PAGE).content.decode().split())
    assert "1 threshold was crossed, last by RND month." in page
    assert "of the limit" in page


def test_acknowledging_counts_for_everybody_once(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person, other = made.person(Role.MANAGER), made.person(Role.FINANCE)
        cross(made)
    with tenant(made.organization_id):
        alert = Alert.objects.get()
    url = f"{PAGE}{alert.pk}/acknowledge/"

    first = signed_in(person).post(url)
    second = signed_in(other).post(url)

    assert (first.status_code, second.status_code) == (302, 302)
    with tenant(made.organization_id):
        assert Acknowledgement.objects.get().person == person
    assert [row["acknowledged_by"] for row in read_csv(signed_in(other))] == [str(person)]
    assert read_csv(signed_in(other), "?seen=open") == []
    assert len(read_csv(signed_in(other), "?seen=seen")) == 1


def test_an_engineer_looks_and_does_not_acknowledge(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.ENGINEER)
        cross(made)
    with tenant(made.organization_id):
        alert = Alert.objects.get()

    assert signed_in(person).get(PAGE).status_code == 200
    assert read_csv(signed_in(person)) == []
    assert signed_in(person).post(f"{PAGE}{alert.pk}/acknowledge/").status_code == 403


def test_a_manager_of_another_department_gets_404(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.MANAGER, department=made.department("Elsewhere"))
        cross(made)
    with tenant(made.organization_id):
        alert = Alert.objects.get()

    assert read_csv(signed_in(person)) == []
    assert signed_in(person).post(f"{PAGE}{alert.pk}/acknowledge/").status_code == 404


@pytest.mark.parametrize("query", ["?basis=mood", "?budget=x", "?seen=maybe", "?before=x~y"])
def test_a_filter_that_cannot_be_shown_is_named(owner_dsn: str, query: str) -> None:
    with books(owner_dsn) as made:
        member = signed_in(made.person(Role.FINANCE))

    assert 'role="alert"' in member.get(f"{PAGE}{query}").content.decode()


def test_many_alerts_cost_as_many_queries_as_few(
    owner_dsn: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.FINANCE)
        with tenant(made.organization_id):
            make_budget(limit="10", enforcement="warn", thresholds=[str(n) for n in range(1, 61)])
            make_call(cost="9")
    member = signed_in(person)

    with django_assert_max_num_queries(QUERIES):
        page = member.get(PAGE).content.decode()

    assert page.count("Acknowledge<span") == 50
    assert "before=" in page


def cross(made: Books) -> None:
    with tenant(made.organization_id):
        make_budget(name="RND month", limit="10", thresholds=["80"], at=timezone.now())
        make_call(cost="8.5")


def read_csv(member: Client, query: str = "") -> list[dict[str, str]]:
    file = member.get(f"/budgets/alerts.csv{query}")
    assert file.status_code == 200, file.content
    return list(csv.DictReader(io.StringIO(file.content.decode())))


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client
