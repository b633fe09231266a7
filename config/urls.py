"""Every address of the web role; provider paths are the gateway's own (gateway.proxy.urls)."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("gateway.urls")),
    path("", include("budgets.urls")),
    path("", include("attribution.urls")),
]
