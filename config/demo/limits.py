"""The demo's rate limits, wide enough for load tests, and an example of a downgrade rule."""

from decimal import Decimal

from budgets.limits.models import Budget
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
