"""Everything that the page of one budget shows, in one value that its template reads."""

from datetime import datetime
from typing import Any

from django.urls import reverse

from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from budgets.control import board, lines
from budgets.control.structure import Structure
from budgets.limits.models import Budget


def build(
    request: OrganizationRequest, budget: Budget, structure: Structure, *, at: datetime
) -> dict[str, Any]:
    """Return what the template shows."""
    (line,) = lines.of([budget], structure, at=at)
    return {
        "line": line,
        "finding": board.finding([line], at=at),
        "change_url": _change_url(request, budget),
    }


def _change_url(request: OrganizationRequest, budget: Budget) -> str:
    name = "admin:budgets_budget_change"
    may = budget.archived_at is None and access.may(request, "POST", name)
    return reverse(name, args=[budget.pk]) if may else ""
