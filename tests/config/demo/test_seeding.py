"""The demo comes whole, says the same again, and its figures belong together."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import CostCenter, Organization
from attribution.usage.models import UsageRecord
from budgets.forecasts.models import Forecast
from budgets.limits import standing
from budgets.limits.models import Budget, BudgetPeriod, Threshold
from budgets.reservations import books
from config.demo import seeding
from config.demo.seeding import ACME, COMPANIES, NORTHWIND
from gateway.keys import tokens
from gateway.keys.models import ApiKey
from gateway.routes.models import Route

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(scope="module")
def told(django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """Seed once, as `./run up` does."""
    with django_db_blocker.unblock():
        out = StringIO()
        call_command("seed_demo", "--json", stdout=out)
        yield json.loads(out.getvalue())


def counts() -> list[int]:
    found = []
    for company in COMPANIES:
        with tenant(company.id):
            found += [UsageRecord.objects.count(), Budget.objects.count(), ApiKey.objects.count()]
    return found


def test_seeding_again_changes_nothing_and_says_the_same(told: dict[str, Any]) -> None:
    before = counts()

    again = seeding.seed(at=timezone.now())

    assert again == told
    assert counts() == before


def test_every_login_and_the_key_open_what_they_say(told: dict[str, Any]) -> None:
    for login in told["logins"]:
        person = authenticate(username=login["email"], password=login["password"])
        assert person is not None, login["email"]
    token = tokens.parse(told["api_key"])

    assert token is not None
    with tenant(ACME.id):
        assert ApiKey.objects.get(name="Demo program").kid == token.kid
        assert {key.name for key in ApiKey.objects.all()} >= {"Nightly batch", "Dashboard reader"}
        assert Route.objects.get(name="demo").is_active
    assert {login["organization"] for login in told["logins"]} == {"acme", "northwind"}
    assert {"finance", "manager", "engineer"} <= {login["role"] for login in told["logins"]}


def test_the_five_cost_centers_have_their_budgets_and_alerts(told: dict[str, Any]) -> None:
    with tenant(ACME.id):
        codes: dict[Any, str] = dict(CostCenter.objects.values_list("pk", "code"))
        limits: dict[str, Any] = {
            codes[scope_id]: (limit, threshold)
            for scope_id, limit, threshold in Budget.objects.filter(
                thresholds__basis="actual"
            ).values_list("scope_id", "limit_versions__amount", "thresholds__value")
        }
        assert Threshold.objects.exclude(basis="actual").count() == 10
        assert set(Forecast.objects.values_list("status", flat=True)) == {"ok"}

    assert told["organization_id"] == str(ACME.id)
    assert limits == {
        "MARKETING": (500, 80),
        "SALES": (1000, 75),
        "SUPPORT": (800, 90),
        "RND": (2000, 70),
        "DEFAULT": (100, 100),
    }


def test_one_budget_is_near_its_limit_and_the_books_are_sound(told: dict[str, Any]) -> None:
    now = timezone.now()
    with tenant(ACME.id):
        current = BudgetPeriod.objects.filter(starts_at__lte=now, ends_at__gt=now)
        shares = sorted(period.spent / period.limit_amount for period in current)
        assert not books.verify()

    assert told["api_key"]
    assert all(share < Decimal("0.9") for share in shares)
    if now.day > 2:  # nothing has been spent in the first hours of a month
        assert shares[-1] > Decimal("0.8")


def test_one_budget_carries_over_and_is_raised_for_a_week(told: dict[str, Any]) -> None:
    with tenant(ACME.id):
        budget = Budget.objects.get(name="RND")
        now = standing.current(budget, at=timezone.now())

    assert told["logins"]
    assert now is not None
    assert (now.base, now.raised) == (Decimal(2000), Decimal(500))
    assert 0 <= now.carried <= 200  # nothing in the first month of a fiscal year
    assert now.limit == now.base + now.carried + now.raised


def test_ninety_days_of_calls_lie_in_the_past(told: dict[str, Any]) -> None:
    now = timezone.now()
    with tenant(ACME.id):
        times = UsageRecord.objects.order_by("id").values_list("occurred_at", flat=True)
        first, last = times[0], times.reverse()[0]
        models = set(UsageRecord.objects.values_list("model_billed", flat=True))
        unpriced = UsageRecord.objects.filter(cost=None).count()
    with tenant(NORTHWIND.id):
        assert Organization.objects.get().is_demo

    assert now - timedelta(days=91) < first < now - timedelta(days=88)
    assert now - timedelta(days=3) < last <= now
    assert {
        "gpt-4.1",
        "claude-sonnet-4.5",
        "gemini-2.5-flash",
        "deepseek-v3.2",
        "gpt-4o-mini",
    } <= models
    assert unpriced
    assert told["logins"]
