"""The demo's refused call: it stands with its arithmetic, and the books stay sound."""

from decimal import Decimal

import pytest
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.usage.models import UsageRecord
from budgets.reservations import books
from budgets.reservations.refusals import Refusal
from config.demo import refusals
from tests.factories import make_budget, make_cost_center, make_key, make_organization

pytestmark = pytest.mark.usefixtures("committed")


def test_a_program_is_refused_for_a_little_more_than_is_left() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        center = make_cost_center(code="DEFAULT")
        budget = make_budget(limit="100", scope="cost_center", scope_id=center.pk)
        make_key(name="Demo program")
        refusals.add(budget, at=timezone.now())
        refused = Refusal.of(UsageRecord.objects.get(state="denied"))
        assert not books.verify()

    assert (refused.budget_id, refused.missing) == (budget.pk, Decimal("3.072"))
    assert (refused.code, refused.feature) == ("budget_exceeded", "evaluation")


def test_an_organization_without_the_program_is_left_alone() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        refusals.add(None, at=timezone.now())
        refusals.add(make_budget(), at=timezone.now())
        make_key(name="Demo program")
        refusals.add(make_budget(enforcement="warn"), at=timezone.now())
        assert not UsageRecord.objects.exists()
