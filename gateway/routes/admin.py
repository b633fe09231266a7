"""Routes in the admin, with their targets."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from attribution.tenancy.admin import ScopedAdmin, ScopedInline, site
from gateway.routes.models import Route, RouteTarget


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
