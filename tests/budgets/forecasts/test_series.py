"""What a budget's scope cost day by day is the same whichever way it is read."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from budgets.forecasts import series
from budgets.limits.models import Budget
from tests.factories import make_call, make_cost_center, make_department, make_organization
from tests.rollups import Books, books

pytestmark = pytest.mark.usefixtures("committed")

HOME = ZoneInfo("UTC")


def read(budget: Budget, *, zone: str = "UTC", home: str = "UTC", end: date) -> dict[date, Decimal]:
    found = series.source(budget, zone=ZoneInfo(zone), home=ZoneInfo(home))
    history = series.daily(found, end=end).history
    return {history.first + timedelta(days=n): cost for n, cost in enumerate(history.costs)}


@pytest.fixture
def organization_id(committed: None) -> UUID:
    return make_organization().pk


@pytest.fixture
def ours(owner_dsn: str, organization_id: UUID) -> Iterator[Books]:
    with books(owner_dsn, organization_id=organization_id) as found:
        yield found


def test_days_since_the_first_with_calls_count_and_empty_ones_are_nothing(
    ours: Books, organization_id: UUID
) -> None:
    for day, cost in ((3, "1.5"), (4, "2.25"), (7, "0")):
        ours.rollup(datetime(2024, 11, day, 10, tzinfo=UTC), cost=cost)
    ours.connection.commit()

    with tenant(organization_id):
        found = series.source(Budget(scope="organization"), zone=HOME, home=HOME)
        used = series.daily(found, end=date(2024, 11, 9))

    assert used.history.first == date(2024, 11, 3)
    assert used.history.costs == tuple(
        Decimal(text) for text in ("1.5", "2.25", "0", "0", "0", "0")
    )
    assert used.called == (True, True, False, False, True, False)


def test_a_day_is_one_of_the_budgets_zone(ours: Books, organization_id: UUID) -> None:
    ours.rollup(datetime(2024, 11, 3, 15, tzinfo=UTC), cost="1")
    ours.rollup(datetime(2024, 11, 3, 16, tzinfo=UTC), cost="2")  # midnight in Shanghai
    ours.connection.commit()
    budget = Budget(scope="organization")

    with tenant(organization_id):
        shanghai = read(budget, zone="Asia/Shanghai", end=date(2024, 11, 6))

    assert shanghai == {
        date(2024, 11, 3): Decimal(1),
        date(2024, 11, 4): Decimal(2),
        date(2024, 11, 5): Decimal(0),
    }


@pytest.mark.parametrize("is_by_call", [False, True])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "Asia/Kolkata"])
@pytest.mark.parametrize(
    ("chosen", "cost"),
    [
        ({"scope": "organization"}, "7"),
        ({"scope": "organization", "filters": {"providers": ["openai"]}}, "0"),
        ({"scope": "user", "scope_value": "ana"}, "5"),
        ({"scope": "user", "scope_value": "nobody"}, None),
        ({"scope": "cost_center"}, "1"),
        ({"scope": "department"}, "1"),
    ],
    ids=str,
)
def test_rollups_and_calls_say_the_same(
    organization_id: UUID, chosen: dict[str, Any], cost: str | None, zone: str, *, is_by_call: bool
) -> None:
    with tenant(organization_id):
        department = make_department()
        center = make_cost_center(department=make_department(parent=department))
        make_call(cost="1", cost_center=center, user="bo")
        make_call(cost="2", user="ana")
        make_call(cost="3", user="ana", state="uncertain")
        make_call(cost="1", user="bo")
        make_call(cost="9", user="ana", state="held")
    rollups.advance()
    scope_id = {"cost_center": center.pk, "department": department.pk}.get(chosen["scope"])
    budget = Budget(scope_id=scope_id, **chosen)
    now = timezone.now()

    with tenant(organization_id):
        found = series.source(budget, zone=ZoneInfo(zone), home=HOME)
        if is_by_call:
            found = series.Source(found.zone, found.is_own_zone, found.calls, None)
        used = series.daily(found, end=now.astimezone(ZoneInfo(zone)).date() + timedelta(days=1))
        lately = series.spent(found, since=now - timedelta(hours=2), at=timezone.now())

    if cost is None or (cost == "0"):
        assert sum(used.history.costs) == 0
    else:
        assert sum(used.history.costs) == lately == Decimal(cost)


def test_models_are_counted_by_what_the_target_is_named(organization_id: UUID) -> None:
    with tenant(organization_id):
        budget = Budget(scope="organization", filters={"models": ["fast"]})
        found = series.source(budget, zone=HOME, home=HOME)
        both = Budget(scope="user", scope_value="ana", filters={"features": ["search"]})

        assert found.rolled is None
        assert series.source(both, zone=HOME, home=HOME).rolled is None
        assert found.longest < series.LONGEST
