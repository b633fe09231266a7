"""Routes in the admin, with their targets, and the rules that lead to cheaper ones."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from attribution.tenancy.admin import ScopedAdmin, ScopedInline, site
from gateway.routes.forms import RuleForm
from gateway.routes.models import DowngradeRule, Route, RouteTarget


class TargetInline(ScopedInline):
    """Where a route leads."""

    model = RouteTarget
    fields = ["position", "upstream", "provider_model", "weight"]


@admin.register(Route, site=site)
class RouteAdmin(ScopedAdmin):
    """Public model names and where they lead."""

    is_policy = True
    inlines = [TargetInline]
    list_display = ["name", "leads_to", "is_active"]
    list_filter = ["is_active", ("targets__upstream", admin.RelatedOnlyFieldListFilter)]
    search_fields = ["name", "targets__provider_model"]
    ordering = ["name"]
    fields = ["name", "is_active"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return routes with their targets."""
        return super().get_queryset(request).prefetch_related("targets__upstream")

    @admin.display(description="→")
    def leads_to(self, route: Route) -> str:
        """Name the targets in their order."""
        return ", ".join(str(target) for target in route.targets.all())


@admin.register(DowngradeRule, site=site)
class DowngradeRuleAdmin(ScopedAdmin):
    """Which calls go to a cheaper model while a budget is passed."""

    form = RuleForm
    is_policy = True
    list_display = ["name", "is_active", "budget", "percent", "asked", "to_model"]
    list_select_related = ["budget"]
    search_fields = ["name", "to_model"]
    ordering = ["position", "-percent"]
    fieldsets = [
        (None, {"fields": ["name", "is_active", "position"]}),
        (_("While"), {"fields": ["budget", "percent"]}),
        (_("Calls"), {"fields": ["asked_models", "cost_centers", "features"]}),
        (_("Go to"), {"fields": ["to_model"]}),
    ]

    @admin.display(description=_("models asked for"))
    def asked(self, rule: DowngradeRule) -> str:
        """Name the models that the rule replaces."""
        return ", ".join(rule.asked_models)
