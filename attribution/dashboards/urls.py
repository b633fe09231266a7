"""Addresses of the pages of spend alone."""

from django.urls import path

from attribution.dashboards import views

urlpatterns = [
    path("explorer/", views.explore, name="explorer-show"),
    path("explorer.<slug:suffix>", views.download, name="explorer-download"),
    path("calls/", views.calls, name="call-list"),
    path("calls/<object_id>/", views.call, name="call-show"),
]
