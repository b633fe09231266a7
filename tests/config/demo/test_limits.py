"""The demo shows limits that hinder no load test, and a rule that is only an example."""

from attribution.isolation.transaction import tenant
from config.demo import limits
from gateway.keys.models import RateLimit
from gateway.routes.models import DowngradeRule
from tests import factories


def test_limits_are_wide_and_the_rule_waits_to_be_switched_on(db: None) -> None:
    organization = factories.make_organization()
    with tenant(organization.pk):
        limits.add(factories.make_budget(name="SUPPORT"))

        limit, rule = RateLimit.objects.get(), DowngradeRule.objects.get()
        watched = rule.budget.name
    assert (limit.cost_center_id, limit.requests_per_minute) == (None, 600_000)
    assert (watched, rule.is_active) == ("SUPPORT", False)
