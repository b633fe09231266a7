"""The Django application of the project itself: its commands and system checks."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Registers the checks when Django starts."""

    name = "config"
    verbose_name = "Tollkeeper"

    def ready(self) -> None:
        """Import the checks, which register themselves."""
        import config.checks  # noqa: F401, PLC0415 -- only after the settings are loaded
