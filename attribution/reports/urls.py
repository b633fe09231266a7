"""Addresses of the JSON API of costs."""

from django.urls import path

from attribution.reports.api import Analytics, Summary

urlpatterns = [
    path("v1/analytics/costs", Analytics.as_view(), name="costs-analyze"),
    path("costs/summary", Summary.as_view(), name="costs-summarize"),
]
