"""Addresses of the JSON API of calls made elsewhere."""

from django.urls import path

from budgets.reservations.api import Usage

urlpatterns = [path("v1/usage", Usage.as_view(), name="usage-record")]
