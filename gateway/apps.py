"""The Django application of this package."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GatewayConfig(AppConfig):
    """One package is one Django application."""

    name = "gateway"
    verbose_name = _("Gateway")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell the pages that lie below which keys there are, and what they are called."""
        from attribution.dashboards import names  # noqa: PLC0415  # models are loaded only now
        from budgets.control import structure  # noqa: PLC0415
        from gateway.keys import programs  # noqa: PLC0415

        structure.SOURCES.append(programs.held)
        names.SOURCES["api_key"] = programs.names
