"""The Django application of this package."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BudgetsConfig(AppConfig):
    """One package is one Django application."""

    name = "budgets"
    verbose_name = _("Budgets")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say what a second person may be asked for; requests lie below and know no budget."""
        from attribution.approvals import decisions  # noqa: PLC0415  # models are loaded only now
        from budgets.limits import raises  # noqa: PLC0415

        decisions.KINDS.update(raises.KINDS)
