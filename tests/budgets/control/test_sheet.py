"""One budget over HTTP: burn-down, what spent it, what limited it; numbers that agree to the last digit."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.tenancy.models import CostCenter, Role, User
from budgets.control import history
from budgets.limits import overrides, revisions, standing
from budgets.limits.amounts import BudgetOverride, LimitVersion
from budgets.limits.models import Budget
from budgets.limits.overrides import Terms
from tests.factories import make_budget, make_call, make_key
from tests.rollups import Books, books

pytestmark = pytest.mark.usefixtures("committed")
QUERIES = 41  # of which 9 belong to session, person and tenant transaction


def test_what_spent_a_budget_adds_up_to_what_it_says(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        center = made.center("RND")
        person = made.person(Role.FINANCE)
        with tenant(made.organization_id):
            budget = make_budget(name="whole", limit="10", enforcement="warn")
            row = CostCenter.objects.get(pk=center)
            make_call(cost="1.000000000001", cost_center=row, model="gpt-4.1", user="ana")
            make_call(cost="0.25", cost_center=row, model="demo", user="ben")
            make_call(cost="0.5", model="demo")
            make_call(cost="0.125", state="uncertain")
    rollups.advance()
    member = signed_in(person)

    sums = {panel: spent(member, budget.pk, panel) for panel in PANELS}

    with tenant(made.organization_id):
        now = standing.current(budget, at=timezone.now())
    assert now is not None
    assert set(sums.values()) == {now.spent} == {Decimal("1.750000000001")}
    first = read_csv(member, budget.pk, "user")[0]
    assert (first["user"], first["calls"], first["cost_usd"]) == ("ana", "1", "1.000000000001")
    days = [row for row in read_csv(member, budget.pk, "daily") if row["cumulative_usd"]]
    assert Decimal(days[-1]["cumulative_usd"]) == now.actual
    assert sum(Decimal(row["cost_usd"]) for row in days) == now.actual


PANELS = ("model", "api_key", "user", "feature", "cost_center")


def test_a_key_s_budget_is_told_apart_by_calls_where_rollups_cannot(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        person = made.person(Role.FINANCE)
        with tenant(made.organization_id):
            key = make_key(name="bot")
            budget = make_budget(name="bot", scope="api_key", scope_id=key.pk)

    member = signed_in(person)

    for panel in ("model", "user", "feature", "cost_center"):
        assert read_csv(member, budget.pk, panel) == []
    assert "Spent by: Feature" in member.get(f"/budgets/{budget.pk}/").content.decode()


def test_the_page_draws_the_burn_down_with_pace_and_limit(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="3000", spent="12.5")
        person = made.person(Role.MANAGER)
    budget = only(made)

    page = signed_in(person).get(f"/budgets/{budget.pk}/").content.decode()

    found = re.search(r'<script id="data-daily" type="application/json">(.*?)</script>', page)
    assert found is not None
    series = {one["label"]: one["values"] for one in json.loads(found[1])["series"]}
    today = timezone.now().day - 1
    assert Decimal(series["spent and uncertain, added up"][today]) == Decimal("12.5")
    assert series["spent and uncertain, added up"][today + 1 :].count(None) == len(
        series["limit"]
    ) - (today + 1)
    assert Decimal(series["even pace"][-1]) == Decimal(3000)
    assert {Decimal(v) for v in series["limit"]} == {Decimal(3000)}


def test_the_history_says_who_set_which_limit_and_why(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100")
        person = made.person(Role.FINANCE)
    budget = only(made)
    with tenant(made.organization_id):
        by = actor_of(person)
        revisions.revise(budget, Decimal(150), at=timezone.now(), by=by, reason="the board said so")
        now = timezone.now()
        terms = Terms(Decimal(25), now, now + timedelta(days=1), "launch week")
        overrides.grant(budget, terms, at=now, by=by)

    page = signed_in(person).get(f"/budgets/{budget.pk}/").content.decode()

    assert "the board said so" in page
    assert "launch week" in page
    assert "raised by 25.00" in " ".join(re.sub(r"<[^>]+>", " ", page).split())
    rows = read_csv(signed_in(person), budget.pk, "limits")
    assert [row["limit_usd"] for row in rows] == ["150", "100"]


def test_limit_steps_follow_versions_and_overrides() -> None:
    def at(day: int) -> datetime:
        return datetime(2026, 11, day, tzinfo=UTC)

    versions = [
        LimitVersion(kind="original", amount=Decimal(100), effective_at=at(1), created_at=at(1)),
        LimitVersion(kind="revised", amount=Decimal(80), effective_at=at(5), created_at=at(10)),
        LimitVersion(kind="estimate", amount=Decimal(999), effective_at=at(2), created_at=at(2)),
    ]
    added = [
        BudgetOverride(amount=Decimal(50), starts_at=at(3), ends_at=at(20), approved_at=at(4)),
        BudgetOverride(amount=Decimal(7), starts_at=at(1), ends_at=at(30)),
    ]
    added[0].revoked_at = at(12)

    found = history.limits(
        figures(carried="10"), versions, added, [at(2), at(3), at(4), at(9), at(10), at(12)]
    )

    assert found == [Decimal(n) for n in (110, 110, 160, 160, 140, 90)]


def test_an_earlier_period_can_be_looked_at(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100", spent="3")
        person = made.person(Role.FINANCE)
    budget = only(made)
    member = signed_in(person)
    with tenant(made.organization_id):
        period = budget.periods.order_by("starts_at").first()
        assert period is not None

    assert member.get(f"/budgets/{budget.pk}/?period={period.pk}").status_code == 200
    assert member.get(f"/budgets/{budget.pk}/?period=999999999").status_code == 404
    assert member.get(f"/budgets/{budget.pk}/?period=x").status_code == 404
    assert member.get(f"/budgets/{budget.pk}/nothing.csv").status_code == 404


def test_only_those_who_may_change_a_budget_are_led_to_its_change(owner_dsn: str) -> None:
    with books(owner_dsn) as made:
        made.budget("whole", limit="100")
        finance, manager = made.person(Role.FINANCE), made.person(Role.MANAGER)
    url = f"/budgets/{only(made).pk}/"

    assert "/admin/budgets/budget/" in signed_in(finance).get(url).content.decode()
    assert f"/admin{url}" not in signed_in(manager).get(url).content.decode()


def test_the_page_has_a_bound_number_of_queries(
    owner_dsn: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with books(owner_dsn) as made:
        center = made.center("RND")
        made.budget("rnd", limit="100", spent="3", center=center)
        for n in range(20):
            made.rollup(hour(), facet="user", value=f"u{n}", center=center, cost="1")
            made.rollup(hour(), value=f"m{n}", center=center, cost="1")
        person = made.person(Role.FINANCE)
    member, url = signed_in(person), f"/budgets/{only(made).pk}/"

    with django_assert_max_num_queries(QUERIES):
        page = member.get(url).content.decode()

    assert page.count("Other") >= 2


def hour() -> datetime:
    return timezone.now().replace(minute=0, second=0, microsecond=0)


def only(made: Books) -> Budget:
    with tenant(made.organization_id):
        return Budget.objects.get()


def figures(*, carried: str) -> standing.Standing:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    zero = Decimal(0)
    return standing.Standing(
        period_id=1,
        budget_id=UUID(int=1),
        enforcement="block",
        starts_at=start,
        ends_at=start + timedelta(days=30),
        limit=zero,
        spent=zero,
        held=zero,
        uncertain=zero,
        carried=Decimal(carried),
    )


def actor_of(person: User) -> Actor:
    return Actor("user", person.pk)


def spent(member: Client, budget_id: UUID, panel: str) -> Decimal:
    return sum((Decimal(r["cost_usd"]) for r in read_csv(member, budget_id, panel)), Decimal(0))


def read_csv(member: Client, budget_id: UUID, panel: str) -> list[dict[str, str]]:
    file = member.get(f"/budgets/{budget_id}/{panel}.csv")
    assert file.status_code == 200, file.content
    return list(csv.DictReader(io.StringIO(file.content.decode())))


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client
