"""Collects the admin of the package's rooms."""

from budgets.alerts import admin as alerts
from budgets.limits import admin as limits
from budgets.reservations import admin as reservations

__all__ = ["alerts", "limits", "reservations"]
