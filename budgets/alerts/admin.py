"""Alerts in the admin, to look at."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.templatetags.tollkeeper import decimal, money
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.admin import ReadOnlyAdmin, site
from budgets.alerts.models import Alert
from budgets.limits.models import Basis, Quantile, Scope, Unit


@admin.register(Alert, site=site)
class AlertAdmin(ReadOnlyAdmin):
    """Thresholds that were crossed, each once per period."""

    narrowed_by = "budget_period__budget__scope_id"
    list_display = ["crossed_at", "budget", "basis_name", "told_at", "actual", "seen", "limit"]
    list_filter = ["basis", ("budget_period__budget", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["budget_period__budget"]
    search_fields = ["budget_period__budget__name"]
    ordering = ["-crossed_at"]
    fields = [
        *("crossed_at", "budget", "basis_name", "told_at", "actual", "seen", "limit"),
        *("data_through_on", "arm"),
    ]

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
        value = f"{alert.threshold.normalize():f}"
        if alert.unit == Unit.FACTOR:
            facts = {"factor": value, "hours": alert.hours}
            return gettext("%(factor)s times over %(hours)s hours") % facts
        unit = "%" if alert.unit == Unit.PERCENT else "USD"
        is_plain = alert.quantile == Quantile.P50
        return f"{value} {unit}" if is_plain else f"{value} {unit} ({alert.quantile})"

    @admin.display(description=_("looks at"), ordering="basis")
    def basis_name(self, alert: Alert) -> str:
        """Say what the threshold looks at."""
        return str(Basis(alert.basis).label)

    @admin.display(description=_("forecast or burn rate then"))
    def seen(self, alert: Alert) -> str:
        """Show what was seen of the future when it was crossed."""
        if alert.forecast is not None:
            return str(money(alert.forecast))
        if alert.burn_factor is not None:
            return str(decimal(alert.burn_factor, places=2))
        return "-"

    @admin.display(description=_("actual then"), ordering="actual_at")
    def actual(self, alert: Alert) -> str:
        """Show what was charged when it was crossed."""
        return str(money(alert.actual_at))

    @admin.display(description=_("limit then"), ordering="limit_at")
    def limit(self, alert: Alert) -> str:
        """Show the limit when it was crossed."""
        return str(money(alert.limit_at))
