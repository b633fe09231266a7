"""The Django application of this package."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AttributionConfig(AppConfig):
    """One package is one Django application."""

    name = "attribution"
    verbose_name = _("Attribution")
    default_auto_field = "django.db.models.BigAutoField"
