"""Addresses of the pages of upstreams."""

from django.urls import path

from gateway.upstreams import views

urlpatterns = [
    path("upstreams/", views.show_all, name="upstream-list"),
    path("upstreams/new/", views.add, name="upstream-add"),
    path("upstreams/<object_id>/", views.show, name="upstream-show"),
    path("upstreams/<object_id>/change/", views.change, name="upstream-change"),
    path("upstreams/<object_id>/credential/", views.reseal, name="upstream-reseal"),
    path("upstreams/<object_id>/test/", views.test, name="upstream-test"),
]
