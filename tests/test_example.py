"""The teaching test: read this first. It shows the cast, a page, a rule, a call, a race, a query budget.

Names are sentences. Arrange, act and assert stand apart. Nothing of ours is mocked: the database is
real, and the tests connect as the application does, neither superuser nor owner.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from decimal import Decimal
from threading import Barrier

from django.db import connections
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.prices.pricing import Rates, cost
from attribution.prices.tokens import Tokens
from attribution.tenancy.models import CostCenter
from budgets.limits import standing
from tests.cast import Cast
from tests.factories import call_outcome, make_budget, make_call, make_organization

# 1. A rule: pure functions need no database. Amounts are Decimal, written as text.


def test_a_call_costs_its_tokens_times_their_rates() -> None:
    rates = Rates({"input": Decimal("2.50"), "output": Decimal("10")})

    priced = cost(Tokens(input=1_000, output=200), rates)

    assert priced is not None
    assert priced.total == Decimal("0.0045")


# 2. The cast: `ours` has a person of every role and a row of every kind, `theirs` is the outsider.


def test_our_cost_centers_are_ours_alone(ours: Cast, theirs: Cast) -> None:
    with tenant(ours.organization.pk):
        codes = set(CostCenter.objects.values_list("code", flat=True))

    assert ours.cost_center.code in codes
    assert theirs.cost_center.code not in codes


# 3. A page: promises are tested where they are made, over HTTP, in the browser of a role.


def test_finance_sees_how_a_budget_stands_and_theirs_stays_hidden(ours: Cast, theirs: Cast) -> None:
    page = ours.browser("finance").get("/admin/budgets/budget/").text

    assert "OURS budget" in page
    assert "CANARY-B" not in page


# 4. A call: factories make rows with valid defaults, through the same functions as the product.


def test_a_call_is_booked_to_every_budget_that_covers_it(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        budget = make_budget(limit="10")

        make_call(cost="0.40", cost_center=ours.cost_center)

        now = standing.current(budget, at=timezone.now())
    assert now is not None
    assert now.spent == Decimal("1.65")  # 1.25 of the cast counted in, and 0.40


# 5. A race: such tests commit, so they make an organization of their own and clean up nothing.


def test_a_hard_budget_admits_what_fits_and_not_one_call_more(committed: None) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        budget = make_budget(limit="1")
    start = Barrier(8)

    def reserve(_number: int) -> str:
        start.wait()
        try:
            with tenant(organization.pk):
                return call_outcome(amount="0.30")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(reserve, range(8)))

    assert outcomes.count("granted") == 3
    with tenant(organization.pk):
        now = standing.current(budget, at=timezone.now())
    assert now is not None
    assert (now.held, now.remaining) == (Decimal("0.90"), Decimal("0.10"))


# 6. A query budget: a page costs as many queries with many rows as with few.


def test_the_list_of_budgets_does_not_ask_once_per_row(
    ours: Cast, django_assert_max_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    with tenant(ours.organization.pk):
        for _ in range(5):
            make_budget()
    browser = ours.browser("auditor")

    with django_assert_max_num_queries(20):
        browser.get("/admin/budgets/budget/")
