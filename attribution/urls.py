"""Collects the addresses of the package's rooms."""

from django.urls import include, path

app_name = "attribution"
urlpatterns = [
    path("", include("attribution.tenancy.urls")),
    path("", include("attribution.approvals.urls")),
    path("", include("attribution.reports.urls")),
    path("", include("attribution.insights.urls")),
    path("", include("attribution.dashboards.urls")),
]
