"""Addresses of the pages of API keys."""

from django.urls import path

from gateway.keys import kill_switch, views

urlpatterns = [
    path("keys/", views.show_all, name="key-list"),
    path("keys/new/", views.issue, name="key-issue"),
    path("keys/<object_id>/", views.show, name="key-show"),
    path("keys/<object_id>/change/", views.change, name="key-change"),
    path("keys/<object_id>/rotate/", views.rotate, name="key-rotate"),
    path("keys/<object_id>/revoke/", views.revoke, name="key-revoke"),
    path("keys/<object_id>/block/", kill_switch.block_key, name="key-block"),
    path("kill-switch/", kill_switch.show_all, name="block-list"),
    path("kill-switch/organization/", kill_switch.block_organization, name="organization-block"),
    path("kill-switch/cost-center/<object_id>/", kill_switch.block_center, name="center-block"),
    path("kill-switch/<object_id>/cut/", kill_switch.cut, name="block-cut"),
    path("kill-switch/<object_id>/lift/", kill_switch.lift, name="block-lift"),
]
