"""Every address of the web role; provider paths are the gateway's own (gateway.proxy.urls)."""

from django.urls import include, path

from attribution.tenancy import admin

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("gateway.urls")),
    path("", include("budgets.urls")),
    path("", include("attribution.urls")),
]
