"""Alerts in the admin, to look at."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from attribution.templatetags.tollkeeper import money
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.admin import ReadOnlyAdmin, site
from budgets.alerts.models import Alert
from budgets.limits.models import Scope


@admin.register(Alert, site=site)
class AlertAdmin(ReadOnlyAdmin):
    """Thresholds that were crossed, each once per period."""

    narrowed_by = "budget_period__budget__scope_id"
    list_display = ["crossed_at", "budget", "told_at", "actual", "limit"]
    list_filter = ["basis", ("budget_period__budget", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["budget_period__budget"]
    search_fields = ["budget_period__budget__name"]
    ordering = ["-crossed_at"]
    fields = ["crossed_at", "budget", "told_at", "actual", "limit", "arm"]

    def narrow(self, request: OrganizationRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the alerts of cost centers this person may look at."""
        centers = access.cost_centers(request).values("pk")
        return rows.filter(
            budget_period__budget__scope=Scope.COST_CENTER,
            budget_period__budget__scope_id__in=centers,
        )

    @admin.display(description=_("budget"), ordering="budget_period__budget__name")
    def budget(self, alert: Alert) -> str:
        """Name the budget."""
        return str(alert.budget_period.budget)

    @admin.display(description=_("threshold"), ordering="threshold")
    def told_at(self, alert: Alert) -> str:
        """Show the threshold with its unit."""
        unit = "%" if alert.unit == "percent" else "USD"
        return f"{alert.threshold.normalize():f} {unit}"

    @admin.display(description=_("actual then"), ordering="actual_at")
    def actual(self, alert: Alert) -> str:
        """Show what was charged when it was crossed."""
        return str(money(alert.actual_at))

    @admin.display(description=_("limit then"), ordering="limit_at")
    def limit(self, alert: Alert) -> str:
        """Show the limit when it was crossed."""
        return str(money(alert.limit_at))
