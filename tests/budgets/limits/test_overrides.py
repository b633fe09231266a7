"""Money added to a limit for a while: who, why, until when; it ends on time whatever stands still."""

import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.audit.trail import SYSTEM, Actor
from attribution.isolation.transaction import tenant
from budgets.alerts.models import Alert
from budgets.limits import overrides, revisions, standing
from budgets.limits.amounts import BudgetOverride
from budgets.limits.models import Budget, BudgetPeriod
from budgets.limits.overrides import OverrideError, Terms
from budgets.limits.standing import Standing
from budgets.reservations import books, holds
from budgets.reservations.holds import Call, RefusedError
from tests.cast import Cast
from tests.factories import make_budget, make_call

HOUR = timedelta(hours=1)


@pytest.fixture
def here(ours: Cast) -> Iterator[Cast]:
    """Serve our organization for the whole test."""
    with tenant(ours.organization.pk):
        yield ours


@pytest.fixture
def budget(here: Cast) -> Budget:
    """Give a budget of 10 that refuses."""
    return make_budget(limit="10", thresholds=["80"])


def terms(
    amount: str = "5",
    *,
    starts: timedelta = -HOUR,
    ends: timedelta = HOUR,
    reason: str = "launch week",
) -> Terms:
    now = timezone.now()
    return Terms(Decimal(amount), now + starts, now + ends, reason)


def grant(budget: Budget, asked: Terms, *, by: Actor = SYSTEM) -> BudgetOverride:
    return overrides.grant(budget, asked, at=timezone.now(), by=by)


def now_of(budget: Budget, at: datetime | None = None) -> Standing:
    found = standing.current(budget, at=at or timezone.now())
    assert found is not None
    return found


def period_of(budget: Budget) -> BudgetPeriod:
    return BudgetPeriod.objects.filter(budget=budget).earliest("starts_at")


def shown(budget: Budget) -> Decimal:
    """Return the limit that the stable view shows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT limit_amount FROM v1_periods WHERE period_id = %s", [period_of(budget).pk]
        )
        (limit,) = cursor.fetchone()
    return Decimal(limit)


def reserve(amount: str) -> None:
    call = Call(holds.mint(timezone.now()))
    holds.reserve(call, Decimal(amount), at=timezone.now(), worker_id=uuid.uuid4())


def actions() -> list[str]:
    found = AuditEntry.objects.filter(action__startswith="budget.override").order_by("at")
    return [entry.action.removeprefix("budget.override_") for entry in found]


def test_an_override_raises_the_limit_of_now_and_leaves_base_and_usage(budget: Budget) -> None:
    make_call(cost="8")

    grant(budget, terms())

    now = now_of(budget)
    assert now.limit == 15
    assert [now.base, now.raised, now.spent] == [Decimal(n) for n in ("10", "5", "9.25")]
    assert revisions.limit_of(budget) == 10
    assert period_of(budget).arm == 2
    reserve("5.75")
    assert not books.verify()


def test_what_is_only_asked_for_adds_nothing_and_may_be_declined(
    here: Cast, budget: Budget
) -> None:
    by = Actor("user", here.person("manager").pk)

    asked = overrides.request(budget, terms(), at=timezone.now(), by=by)
    assert now_of(budget).limit == 10
    overrides.revoke(asked, at=timezone.now(), by=SYSTEM, reason="no money")

    assert now_of(budget).limit == 10
    assert actions() == ["requested", "declined"]
    with pytest.raises(OverrideError):
        overrides.approve(asked, at=timezone.now(), by=SYSTEM)


def test_who_asked_and_who_approved_are_kept(here: Cast, budget: Budget) -> None:
    manager, finance = here.person("manager"), here.person("finance")
    asked = overrides.request(budget, terms(), at=timezone.now(), by=Actor("user", manager.pk))

    overrides.approve(asked, at=timezone.now(), by=Actor("user", finance.pk))

    asked.refresh_from_db()
    assert (asked.requested_by, asked.approved_by) == (manager, finance)
    assert asked.approved_at is not None
    assert actions() == ["requested", "granted"]


def test_an_override_ends_on_time_with_every_worker_dead(budget: Budget) -> None:
    grant(budget, terms(ends=timedelta(seconds=1)))
    reserve("8")  # of 15
    assert shown(budget) == 15

    time.sleep(1.1)

    assert now_of(budget).limit == shown(budget) == 10
    with pytest.raises(RefusedError) as refused:
        reserve("3")  # of 10
    assert Decimal(refused.value.detail["budget"]["limit"]) == 10
    period = period_of(budget)
    assert [period.limit_amount, period.raised, period.limit_until] == [
        Decimal(10),
        Decimal(0),
        None,
    ]
    assert not books.verify()


def test_an_override_begins_on_time_with_every_worker_dead(budget: Budget) -> None:
    grant(budget, terms(starts=timedelta(seconds=1)))
    with pytest.raises(RefusedError):
        reserve("11")

    time.sleep(1.1)

    reserve("11")
    assert period_of(budget).arm == 2


def test_overrides_add_up_while_they_overlap(budget: Budget) -> None:
    grant(budget, terms("5"))
    second = grant(budget, terms("7", ends=2 * HOUR))

    assert now_of(budget).limit == 22
    overrides.revoke(second, at=timezone.now(), by=SYSTEM)

    assert now_of(budget).limit == 15
    assert actions()[-1] == "revoked"
    with pytest.raises(OverrideError):
        overrides.revoke(second, at=timezone.now(), by=SYSTEM)


def test_an_override_reaches_each_period_that_it_touches(here: Cast) -> None:
    budget = make_budget(limit="10", period="day")
    grant(budget, terms(ends=timedelta(days=1)))

    limits = BudgetPeriod.objects.filter(budget=budget).order_by("starts_at")

    assert [period.limit_amount for period in limits][:2] == [15, 15]
    assert limits[1].limit_until is not None


def test_an_end_is_written_down_once(budget: Budget) -> None:
    override = grant(budget, terms(ends=timedelta(milliseconds=300)))
    later = timezone.now() + HOUR
    time.sleep(0.4)

    assert [overrides.follow(later), overrides.follow(later)] == [1, 0]

    override.refresh_from_db()
    assert override.expired_at == later
    assert actions() == ["requested", "granted", "expired"]
    assert period_of(budget).limit_amount == 10


def test_thresholds_fire_anew_when_an_override_begins_and_at_its_end(budget: Budget) -> None:
    make_call(cost="8")  # of 10, with 1.25 of the cast
    grant(budget, terms("1", ends=timedelta(seconds=1)))
    raised = list(Alert.objects.order_by("crossed_at").values_list("arm", "limit_at"))
    assert raised[-2:] == [(1, Decimal(10)), (2, Decimal(11))]

    grant(budget, terms("100", ends=timedelta(seconds=1)))
    time.sleep(1.1)
    overrides.follow(timezone.now())

    of_budget = Alert.objects.filter(budget_period=period_of(budget)).order_by("crossed_at")
    assert list(of_budget.values_list("arm", "limit_at")) == [
        (1, Decimal(10)),
        (2, Decimal(11)),
        (3, Decimal(10)),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "0"},
        {"starts": HOUR, "ends": HOUR},
        {"starts": -2 * HOUR, "ends": -HOUR},
        {"reason": " "},
        {"reason": "x" * 257},
    ],
)
def test_an_override_that_cannot_be_is_refused(budget: Budget, wrong: dict[str, Any]) -> None:
    with pytest.raises(OverrideError):
        overrides.request(budget, terms(**wrong), at=timezone.now(), by=SYSTEM)

    assert not BudgetOverride.objects.filter(budget=budget).exists()


def test_an_archived_budget_is_not_raised(budget: Budget) -> None:
    revisions.archive(budget, at=timezone.now(), by=SYSTEM)

    with pytest.raises(OverrideError):
        grant(budget, terms())
