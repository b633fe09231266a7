"""Addresses of the pages of messages."""

from django.urls import path

from budgets.notifications import office, views

urlpatterns = [
    path("notifications/", views.show_all, name="notification-list"),
    path("notifications/count/", views.count, name="notification-count"),
    path("notifications/read/", views.clear, name="notification-clear"),
    path("notifications/settings/", views.choose, name="subscription-change"),
    path(
        "notifications/acknowledge/<str:token>/", views.acknowledge, name="notification-acknowledge"
    ),
    path("notifications/history/", office.show_all, name="notification-history"),
    path("notifications/history/<object_id>/", office.show, name="notification-show"),
    path("notifications/history/<object_id>/resend/", office.resend, name="notification-resend"),
    path("notifications/<object_id>/open/", views.open_note, name="notification-open"),
    path("channels/<object_id>/test/", office.test, name="channel-test"),
]
