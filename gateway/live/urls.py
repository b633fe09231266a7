"""Addresses of the Live page; the stream itself is no address of Django's (gateway.live.stream)."""

from django.urls import path

from gateway.live import views

urlpatterns = [
    path("live/", views.show, name="live-show"),
    path("live/recent/", views.latest, name="live-recent"),
    path("live/live.csv", views.download, name="live-download"),
]
