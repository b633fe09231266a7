"""Addresses of the pages of budgets."""

from django.urls import path

from budgets.control.views import budgets

urlpatterns = [
    path("budgets/", budgets.show_all, name="budget-list"),
    path("budgets.csv", budgets.download, name="budget-download"),
    path("budgets/<object_id>/", budgets.show, name="budget-show"),
]
