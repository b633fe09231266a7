"""Collects the models of the package's rooms."""

from budgets.alerts.models import Alert
from budgets.limits.models import Budget, BudgetPeriod, LimitVersion, Threshold
from budgets.notifications.models import Notification
from budgets.plans.models import BudgetPlan
from budgets.reservations.models import (
    BoundBreach,
    Idempotency,
    IngestedEvent,
    Rerating,
    Reservation,
)

__all__ = [
    "Alert",
    "BoundBreach",
    "Budget",
    "BudgetPeriod",
    "BudgetPlan",
    "Idempotency",
    "IngestedEvent",
    "LimitVersion",
    "Notification",
    "Rerating",
    "Reservation",
    "Threshold",
]
