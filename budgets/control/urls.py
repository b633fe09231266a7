"""Addresses of the pages of budgets."""

from django.urls import path

from budgets.control.views import budgets, refusals

urlpatterns = [
    path("budgets/", budgets.show_all, name="budget-list"),
    path("budgets.csv", budgets.download, name="budget-download"),
    path("budgets/refusals/", refusals.show_all, name="refusal-list"),
    path("budgets/refusals.csv", refusals.download, name="refusal-download"),
    path("budgets/<object_id>/", budgets.show, name="budget-show"),
    path("budgets/<object_id>/<slug:panel>/table/", budgets.table, name="budget-table"),
    path("budgets/<object_id>/<slug:panel>.csv", budgets.file, name="budget-file"),
]
