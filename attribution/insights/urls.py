"""Addresses of the pages of anomalies."""

from django.urls import path

from attribution.insights import views

urlpatterns = [
    path("anomalies/", views.show_all, name="anomaly-list"),
    path("anomalies/<str:object_id>/", views.show, name="anomaly-show"),
    path("anomalies/<str:object_id>/status/", views.judge, name="anomaly-judge"),
    path("anomalies/<str:object_id>/series.csv", views.download, name="anomaly-download"),
]
