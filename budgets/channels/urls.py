"""Addresses of the pages of channels."""

from django.urls import path

from budgets.channels import views

urlpatterns = [
    path("channels/", views.show_all, name="channel-list"),
    path("channels/add/", views.add, name="channel-add"),
    path("channels/<object_id>/", views.show, name="channel-show"),
    path("channels/<object_id>/change/", views.change, name="channel-change"),
    path("channels/<object_id>/rotate/", views.rotate, name="channel-rotate"),
    path("channels/<object_id>/archive/", views.archive, name="channel-archive"),
]
