"""What a budget may cover, by scope, as the person who looks may choose it."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from budgets.limits.models import Scope

Source = Callable[[OrganizationRequest], Iterable[tuple[UUID, str]]]

# Packages above add theirs.
SOURCES: dict[str, Source] = {
    Scope.DEPARTMENT: lambda request: [
        (row.pk, str(row)) for row in access.departments(request).order_by("name")
    ],
    Scope.COST_CENTER: lambda request: [
        (row.pk, str(row)) for row in access.cost_centers(request).order_by("code")
    ],
}

FILTERS = {
    "models": _("models"),
    "providers": _("providers"),
    "features": _("features"),
    "environments": _("environments"),
}


def coverable(request: OrganizationRequest) -> list[tuple[Any, Any]]:
    """Return what a new budget may cover, in groups."""
    groups = [
        (
            Scope(scope).label,
            [(f"{scope}:{row_id}", name) for row_id, name in source(request)],
        )
        for scope, source in SOURCES.items()
    ]
    whole = (Scope.ORGANIZATION.value, _("the whole organization"))
    return [whole, *groups, (Scope.USER.value, _("one user"))]


def names(request: OrganizationRequest, scopes: Iterable[str]) -> dict[UUID, str]:
    """Return the names of what budgets of some scopes cover."""
    wanted = set(scopes)
    return {
        row_id: name
        for scope, source in SOURCES.items()
        if scope in wanted
        for row_id, name in source(request)
    }
