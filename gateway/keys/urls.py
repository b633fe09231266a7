"""Addresses of the pages of API keys."""

from django.urls import path

from gateway.keys import views

urlpatterns = [
    path("keys/", views.show_all, name="key-list"),
    path("keys/new/", views.issue, name="key-issue"),
    path("keys/<object_id>/", views.show, name="key-show"),
    path("keys/<object_id>/change/", views.change, name="key-change"),
    path("keys/<object_id>/rotate/", views.rotate, name="key-rotate"),
    path("keys/<object_id>/revoke/", views.revoke, name="key-revoke"),
]
