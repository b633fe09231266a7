"""Addresses of the pages of budgets."""

from django.urls import path

from budgets.control.views import alerts, budgets, overrides, refusals

urlpatterns = [
    path("budgets/", budgets.show_all, name="budget-list"),
    path("budgets.csv", budgets.download, name="budget-download"),
    path("budgets/refusals/", refusals.show_all, name="refusal-list"),
    path("budgets/refusals.csv", refusals.download, name="refusal-download"),
    path("budgets/alerts/", alerts.show_all, name="alert-list"),
    path("budgets/alerts.csv", alerts.download, name="alert-download"),
    path("budgets/alerts/<object_id>/acknowledge/", alerts.acknowledge, name="alert-acknowledge"),
    path("budgets/overrides/", overrides.show_all, name="override-list"),
    path("budgets/overrides/new/", overrides.grant, name="override-grant"),
    path("budgets/overrides/<object_id>/revoke/", overrides.revoke, name="override-revoke"),
    path("budgets/<object_id>/", budgets.show, name="budget-show"),
    path("budgets/<object_id>/<slug:panel>/table/", budgets.table, name="budget-table"),
    path("budgets/<object_id>/<slug:panel>.csv", budgets.file, name="budget-file"),
]
