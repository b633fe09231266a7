"""Anomalies that no evaluator found, for tests of pages."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from attribution.insights.models import Anomaly
from attribution.tenancy.models import CostCenter
from tests.factories import unique


def make_anomaly(
    *,
    cost_center: CostCenter | None = None,
    model: str = "",
    expected: str = "40",
    actual: str = "200",
    at: datetime | None = None,
    **columns: Any,
) -> Anomaly:
    """Note an anomaly of a day, as an evaluator would that saw no calls."""
    ends_at = at or timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    starts_at = ends_at - timedelta(days=1)
    bucket = {
        "from": starts_at.isoformat(),
        "to": ends_at.isoformat(),
        "actual": actual,
        "expected": expected,
        "limit": "10",
        "like": [],
    }
    return Anomaly.objects.create(
        cost_center=cost_center,
        model=model or unique("model"),
        starts_at=starts_at,
        ends_at=ends_at,
        expected=Decimal(expected),
        actual=Decimal(actual),
        impact=Decimal(actual) - Decimal(expected),
        buckets=[bucket],
        **columns,
    )
