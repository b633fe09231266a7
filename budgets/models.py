"""Collects the models of the package's rooms."""

from budgets.alerts.models import Alert
from budgets.channels.models import Channel
from budgets.forecasts.models import Forecast
from budgets.limits.amounts import BudgetOverride, LimitVersion
from budgets.limits.models import Budget, BudgetPeriod, Threshold
from budgets.notifications.models import Acknowledgement, Notification, Subscription
from budgets.plans.models import BudgetPlan
from budgets.reservations.models import (
    BoundBreach,
    Idempotency,
    IngestedEvent,
    Rerating,
    Reservation,
)

__all__ = [
    "Acknowledgement",
    "Alert",
    "BoundBreach",
    "Budget",
    "BudgetOverride",
    "BudgetPeriod",
    "BudgetPlan",
    "Channel",
    "Forecast",
    "Idempotency",
    "IngestedEvent",
    "LimitVersion",
    "Notification",
    "Rerating",
    "Reservation",
    "Subscription",
    "Threshold",
]
