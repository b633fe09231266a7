"""Addresses of plans."""

from django.urls import path

from budgets.plans import views

urlpatterns = [
    path("budgets/plans/download/", views.download, name="plan-download"),
    path("budgets/plans/import/", views.import_file, name="plan-import"),
    path("budgets/plans/copy/", views.copy, name="plan-copy"),
    path("budgets/plans/<object_id>/", views.show, name="plan-show"),
]
