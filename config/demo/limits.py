"""The demo's rate limits, wide enough for load tests, a downgrade rule, a raise that waits and one that runs."""

from datetime import datetime, timedelta
from decimal import Decimal

from attribution.audit.trail import Actor
from attribution.tenancy.models import Organization, User
from budgets.limits import overrides, raises, revisions
from budgets.limits.models import Budget, Rollover
from budgets.limits.overrides import Terms
from gateway.keys.models import RateLimit
from gateway.routes.models import DowngradeRule

WIDE = {"requests_per_minute": 600_000, "concurrent_streams": 10_000}  # of the key in demo.json


def add(near: Budget | None) -> None:
    """Limit the organization, and show what could happen to calls under a budget near its limit."""
    RateLimit.objects.create(**WIDE)
    if near is not None:
        DowngradeRule.objects.create(
            name="example: the small model from 80 % on",
            budget=near,
            percent=Decimal(80),
            asked_models=["gpt-4.1", "claude-opus-*"],
            to_model="demo",
            is_active=False,
        )


def ask_for_more(near: Budget | None, finance: User | None, *, at: datetime) -> None:
    """Let finance ask for twice the money of a budget: more than one person may decide alone."""
    if near is None or finance is None:
        return
    limit = revisions.limit_of(near) or Decimal(0)
    Organization.objects.update(raise_needs_approval_above=limit / 2)
    by, reason = Actor("user", finance.pk), "the campaign of spring needs more"
    raises.set_limit(near, limit * 2, at=at, by=by, reason=reason)


def raise_for_a_week(budget: Budget | None, finance: User | None, *, at: datetime) -> None:
    """Let a budget carry over up to a tenth of its limit, and add a quarter of it for a week."""
    if budget is None or finance is None:
        return
    by = Actor("user", finance.pk)
    budget.rollover, budget.rollover_cap = Rollover.CARRY_UNUSED, Decimal(10)
    revisions.change(budget, by=by)
    added = (revisions.limit_of(budget) or Decimal(0)) / 4
    terms = Terms(added, at, at + timedelta(days=7), "a week of tests before the release")
    overrides.grant(budget, terms, at=at, by=by)
