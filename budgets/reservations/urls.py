"""Addresses of calls made elsewhere, of unpriced usage, and of re-rating."""

from django.urls import path

from budgets.reservations import views
from budgets.reservations.api import Usage

urlpatterns = [
    path("v1/usage", Usage.as_view(), name="usage-record"),
    path("unpriced/", views.show_unpriced, name="unpriced-show"),
    path("unpriced/file/", views.download_unpriced, name="unpriced-download"),
    path("re-rate/file/", views.download_preview, name="rerating-download"),
    path("re-rate/", views.preview, name="rerating-preview"),
    path("re-rate/<uuid:object_id>/", views.show, name="rerating-show"),
]
