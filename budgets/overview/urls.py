"""Addresses of the pages that set spend against limits."""

from django.urls import path

from budgets.overview import home

urlpatterns = [
    path("", home.show, name="overview-show"),
    path("overview/stamp/", home.stamp, name="overview-stamp"),
    path("overview/<slug:panel>/table/", home.table, name="overview-table"),
    path("overview/<slug:panel>.csv", home.download, name="overview-download"),
]
