"""The list and the tree of budgets over HTTP: exact figures, for those who may see them."""

import csv
import io
import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import CostCenter, Role, User
from budgets.limits import revisions
from budgets.limits.models import Budget
from tests.factories import make_budget, make_department, make_key
from tests.rollups import books

LIST = "/budgets/"
QUERIES = 25  # of which 9 belong to session, person and tenant transaction
pytestmark = pytest.mark.usefixtures("committed")


def test_a_budget_stands_in_the_list_with_its_exact_figures(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        center = made.center("RND")
        made.budget("RND month", limit="2000", spent="1819.123456789012", center=center)
        person = made.person(Role.FINANCE)

    (row,) = read_csv(signed_in(person))

    assert (row["budget"], row["covers"], row["state"]) == ("RND month", "RND · Rnd", "warning")
    assert (row["spent_usd"], row["remaining_usd"]) == ("1819.123456789012", "180.876543210988")
    page = signed_in(person).get(LIST).content.decode()
    assert "1,819.12" in page
    assert "1 of 1 budgets needs a look: RND month has used 91" in page


def test_a_narrowed_manager_sees_what_lies_in_the_department(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        research = made.department("Research")
        center, sales = made.center("RND", department=research), made.center("SALES")
        made.budget("Whole", limit="10")
        made.budget("RND month", limit="10", center=center)
        made.budget("SALES month", limit="10", center=sales)
        person = made.person(Role.MANAGER, department=research)
        with tenant(made.organization_id):
            hidden = Budget.objects.get(name="SALES month").pk

    member = signed_in(person)

    assert names(member) == ["RND month"]
    assert "SALES" not in member.get(LIST).content.decode()
    assert member.get(f"/budgets/{hidden}/").status_code == 404


def test_an_engineer_sees_the_budgets_over_calls_of_their_keys(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        research = made.department("Research")
        center, sales = made.center("RND", department=research), made.center("SALES")
        person = made.person(Role.ENGINEER)
        with tenant(made.organization_id):
            own = make_key(
                cost_center=CostCenter.objects.get(pk=center),
                created_by=person,
                is_cost_center_pinned=True,
                user_name="bot",
            )
            make_budget(name="whole")
            make_budget(name="research", scope="department", scope_id=research.pk)
            make_budget(name="rnd", scope="cost_center", scope_id=center)
            make_budget(name="sales", scope="cost_center", scope_id=sales)
            make_budget(name="own", scope="api_key", scope_id=own.pk)
            make_budget(name="other", scope="api_key", scope_id=make_key().pk)
            make_budget(name="bot", scope="user", scope_value="bot")
            make_budget(name="ana", scope="user", scope_value="ana")

    assert sorted(names(signed_in(person))) == ["bot", "own", "research", "rnd", "whole"]


def test_a_key_that_hides_amounts_opens_no_budget_to_its_holder(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("Whole", limit="10")
        person = made.person(Role.ENGINEER)
        with tenant(made.organization_id):
            make_key(created_by=person, is_amount_hidden=True)

    page = signed_in(person).get(LIST).content.decode()

    assert names(signed_in(person)) == []
    assert "GET /v1/budgets" in page


def test_the_budgets_of_others_are_not_there(owner_dsn: str) -> None:
    with books(owner_dsn) as theirs:
        theirs.budget("Their budget", limit="10", center=theirs.center("THEIRS"))
        with tenant(theirs.organization_id):
            foreign = Budget.objects.get().pk
    with books(owner_dsn) as ours:
        member = signed_in(ours.person(Role.OWNER))

    assert "Their" not in member.get(LIST).content.decode()
    assert member.get(f"/budgets/{foreign}/").status_code == 404
    assert member.get("/budgets/not-a-budget/").status_code == 404


def test_the_tree_shows_what_lies_in_what(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        growth = made.department("Growth")
        with tenant(made.organization_id):
            care = make_department(name="Care", parent=growth)
        center = made.center("SUPPORT", department=care)
        made.budget("support", limit="5", center=center)
        made.budget("whole", limit="10")
        person = made.person(Role.FINANCE)

    page = signed_in(person).get(LIST, {"view": "tree"}).content.decode()

    rows = re.findall(r'aria-level="(\d)">\s*<th[^>]*>\s*(?:<a[^>]*>)?([^<]+)', page)
    assert [(level, name.strip()) for level, name in rows] == [
        ("1", "whole"), ("2", "Growth"), ("3", "Care"), ("4", "support"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?scope=cost_center", ["rnd", "sales"]),
        ("?enforcement=warn", ["sales"]),
        ("?state=alert", ["sales"]),
        ("?cost_center=RND", ["rnd"]),
        ("?q=HO", ["whole"]),
        ("?sort=name", ["rnd", "sales", "whole"]),
        ("?sort=-limit", ["whole", "rnd", "sales"]),
        ("?sort=remaining", ["sales", "rnd", "whole"]),
    ],
)
def test_filters_and_order_stand_in_the_address(
    owner_dsn: str, query: str, expected: list[str]
) -> None:
    with books(owner_dsn) as made:
        center, sales = made.center("RND"), made.center("SALES")
        made.budget("whole", limit="100")
        made.budget("rnd", limit="20", center=center)
        made.budget("sales", limit="10", spent="11", center=sales)
        person = made.person(Role.FINANCE)
    with tenant(made.organization_id):
        budget = Budget.objects.get(name="sales")
        budget.enforcement = "warn"
        revisions.change(budget, by=SYSTEM)

    found = names(signed_in(person), query)

    assert (found if "sort" in query else sorted(found)) == expected


@pytest.mark.parametrize(
    "query", ["?scope=moon", "?sort=colour", "?on=yesterday", "?cost_center=<b>", "?page=0"]
)
def test_a_filter_that_cannot_be_shown_is_named(owner_dsn: str, query: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100")
        person = made.person(Role.FINANCE)

    page = signed_in(person).get(f"{LIST}{query}")

    assert page.status_code == 200
    assert 'role="alert"' in page.content.decode()
    assert "<b>" not in page.content.decode()
    assert signed_in(person).get(f"/budgets.csv{query}").status_code == 400


def test_budgets_that_lie_in_each_other_are_never_added_up(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100", spent="30")
        made.budget("rnd", limit="20", spent="10.5", center=made.center("RND"))
        made.budget("sales", limit="10", spent="0.25", center=made.center("SALES"))
        member = signed_in(made.person(Role.FINANCE))

    nested = member.get(LIST).content.decode()
    disjoint = member.get(f"{LIST}?scope=cost_center").content.decode()

    assert ("There is no total" in nested, "<tfoot>\n            </tfoot>" in squeezed(nested)) == (
        True,
        True,
    )
    assert "10.75" in disjoint.partition("<tfoot>")[2]


def test_a_limit_above_what_it_lies_in_is_warned_about(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100")
        made.budget("rnd", limit="250", center=made.center("RND"))
        finance, engineer = made.person(Role.FINANCE), made.person(Role.ENGINEER)
        with tenant(made.organization_id):
            make_key(created_by=engineer)
            inside = Budget.objects.get(name="rnd").pk

    text = "“rnd” allows 250.00, but “whole”, in which it lies, only 100.00."
    assert text in signed_in(finance).get(LIST).content.decode()
    assert text in signed_in(finance).get(f"{LIST}{inside}/").content.decode()
    assert text not in signed_in(engineer).get(LIST).content.decode()


def test_an_earlier_day_shows_the_period_of_that_day(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100", spent="30")
        member = signed_in(made.person(Role.FINANCE))

    (row,) = read_csv(member, "?on=2020-01-31")

    assert (row["budget"], row["limit_usd"], row["starts_at"]) == ("whole", "", "")


def test_the_list_costs_the_same_number_of_queries_with_many_budgets(
    owner_dsn: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with books(owner_dsn) as made:
        for n in range(60):
            made.budget(f"budget {n}", limit="100", spent=str(n), center=made.center(f"C{n}"))
        member = signed_in(made.person(Role.FINANCE))

    with django_assert_max_num_queries(QUERIES):
        first = member.get(LIST).content.decode()
    with django_assert_max_num_queries(QUERIES):
        member.get(f"{LIST}?view=tree")

    assert first.count('class="bullet"') == 50
    assert "page=2" in first
    assert member.get(f"{LIST}?page=2").content.decode().count('class="bullet"') == 10


@pytest.mark.parametrize("role", [Role.FINANCE, Role.ENGINEER])
def test_an_empty_list_teaches(owner_dsn: str, role: Role) -> None:
    with books(owner_dsn) as made:
        member = signed_in(made.person(role))

    page = member.get(LIST).content.decode()

    assert ("/admin/budgets/budget/add/" in page) == (role == Role.FINANCE)
    assert ("GET /v1/budgets" in page) == (role == Role.ENGINEER)


def names(member: Client, query: str = "") -> list[str]:
    return [row["budget"] for row in read_csv(member, query)]


def squeezed(page: str) -> str:
    return re.sub(r"\n\s*\n+", "\n", page)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def read_csv(member: Client, query: str = "") -> list[dict[str, str]]:
    file = member.get(f"/budgets.csv{query}")
    assert file.status_code == 200, file.content
    return list(csv.DictReader(io.StringIO(file.content.decode())))


def test_an_elastic_budget_states_by_how_much_it_can_be_passed(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.FINANCE)
        with tenant(made.organization_id):
            soft, hard = make_budget(enforcement="elastic"), make_budget(enforcement="block")

    member = signed_in(person)

    assert (
        "at most 1,024 output tokens of each stream"
        in member.get(f"/budgets/{soft.pk}/").content.decode()
    )
    assert "output tokens" not in member.get(f"/budgets/{hard.pk}/").content.decode()
