"""Addresses of signing in and of what a person chooses."""

from django.urls import path

from attribution.tenancy import views

urlpatterns = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("organization/", views.switch_organization, name="organization-switch"),
    path("language/", views.choose_language, name="language-choose"),
    path("theme/", views.choose_theme, name="theme-choose"),
]
