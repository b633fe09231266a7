"""Breached bounds in the admin: what is refused under hard budgets since, and the way back."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from attribution.templatetags.tollkeeper import money
from attribution.tenancy import access
from attribution.tenancy.admin import ScopedAdmin, site
from budgets.reservations import breaches
from budgets.reservations.models import BoundBreach


@admin.register(BoundBreach, site=site)
class BoundBreachAdmin(ScopedAdmin):
    """Kinds of calls that cost more than was held for them."""

    list_display = ["model", "wire_format", "held", "cost_then", "found_at", "cleared_at"]
    list_filter = [("cleared_at", admin.EmptyFieldListFilter), "wire_format"]
    search_fields = ["model"]
    ordering = ["-found_at"]
    readonly_fields = [
        *("model", "wire_format", "usage_id"),
        *("held", "cost_then", "found_at", "cleared_at"),
    ]
    actions = ["clear"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave the finding to the ledger."""
        return False

    @admin.display(description=_("held"), ordering="hold")
    def held(self, breach: BoundBreach) -> str:
        """Show the most that the call was said to cost."""
        return str(money(breach.hold))

    @admin.display(description=_("cost"), ordering="cost")
    def cost_then(self, breach: BoundBreach) -> str:
        """Show what it cost."""
        return "—" if breach.cost is None else str(money(breach.cost))

    @admin.action(
        description=_("Clear: hard budgets admit such calls again"), permissions=["change"]
    )
    def clear(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Clear the chosen ones that are open."""
        chosen = list(queryset.values_list("pk", flat=True))
        done = breaches.clear(chosen, at=timezone.now(), by=access.actor(request))
        text = ngettext("%d breached bound cleared.", "%d breached bounds cleared.", done)
        messages.success(request, text % done)
