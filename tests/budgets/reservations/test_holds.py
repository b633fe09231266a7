"""Reserve, settle, release and doubt for synchronous callers."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from budgets.limits.models import BudgetPeriod
from budgets.reservations import books, holds
from budgets.reservations.holds import Call, RefusedError
from tests.factories import make_budget, make_cost_center, make_department, make_organization

pytestmark = pytest.mark.django_db
WORKER = uuid.uuid4()


def figures() -> list[Any]:
    """Return spent, held and uncertain of each period."""
    return list(BudgetPeriod.objects.order_by("id").values_list("spent", "held", "uncertain"))


def test_a_call_is_held_in_every_budget_that_covers_it_and_in_no_other() -> None:
    with tenant(make_organization().pk):
        parent = make_department()
        center = make_cost_center(department=make_department(parent=parent))
        for scope, scope_id in (
            ("organization", None),
            ("department", parent.pk),
            ("cost_center", center.pk),
            ("department", make_department().pk),
        ):
            make_budget(scope=scope, scope_id=scope_id, limit="10")
        call = Call(holds.mint(timezone.now()), cost_center_id=center.pk)

        remaining = holds.reserve(call, Decimal(4), at=timezone.now(), worker_id=WORKER)

        assert remaining == Decimal(6)
        assert [held for _, held, _ in figures()] == [4, 4, 4, 0]
        assert not books.verify()


def test_settling_charges_the_cost_once() -> None:
    with tenant(make_organization().pk):
        make_budget(limit="10")
        call = Call(holds.mint(timezone.now()))
        holds.reserve(call, Decimal(4), at=timezone.now(), worker_id=WORKER)

        assert holds.settle(call.id, Decimal("1.25"))
        assert not holds.settle(call.id, Decimal("1.25"))

        assert figures() == [(Decimal("1.25"), 0, 0)]
        assert not books.verify()


def test_a_doubt_charges_the_hold_until_the_truth_arrives() -> None:
    with tenant(make_organization().pk):
        make_budget(limit="10")
        call = Call(holds.mint(timezone.now()))
        holds.reserve(call, Decimal(4), at=timezone.now(), worker_id=WORKER)

        holds.doubt(call.id)
        assert figures() == [(0, 0, 4)]
        assert not books.verify()

        holds.release(call.id)
        assert figures() == [(0, 0, 0)]
        assert not books.verify()


def test_a_refusal_says_which_budget_and_how_much_is_left() -> None:
    with tenant(make_organization().pk):
        make_budget(name="tight", limit="1")
        call = Call(holds.mint(timezone.now()))

        with pytest.raises(RefusedError) as refused:
            holds.reserve(call, Decimal(4), at=timezone.now(), worker_id=WORKER)

        assert refused.value.code == "budget_exceeded"
        assert refused.value.detail["budget"]["name"] == "tight"
        assert figures() == [(0, 0, 0)]
