"""Collects the addresses of the package's rooms."""

from django.urls import include, path

app_name = "budgets"
urlpatterns = [
    path("", include("budgets.overview.urls")),
    path("", include("budgets.plans.urls")),  # before the pages that take any word for a budget
    path("", include("budgets.control.urls")),
    path("", include("budgets.notifications.urls")),
    path("", include("budgets.channels.urls")),
    path("", include("budgets.reservations.urls")),
]
