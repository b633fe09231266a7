"""Addresses of the gateway's package that Django answers; provider paths are in gateway.proxy.urls."""

from django.urls import include, path

from gateway.workers import views

app_name = "gateway"
urlpatterns = [
    path("", include("gateway.keys.urls")),
    path("", include("gateway.upstreams.urls")),
    path("", include("gateway.live.urls")),
    path("health", views.health, name="health-show"),
    path("health/ready", views.ready, name="health-ready"),
    path("metrics", views.metrics, name="metrics-show"),
]
