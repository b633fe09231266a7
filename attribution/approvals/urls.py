"""Addresses of approvals."""

from django.urls import path

from attribution.approvals import views

urlpatterns = [
    path("approvals/", views.show_all, name="approval-list"),
    path("approvals/<object_id>/", views.show, name="approval-show"),
]
