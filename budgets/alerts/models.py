"""Thresholds that were crossed, each once per budget period and arm."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from budgets.limits.models import BudgetPeriod


class Alert(TenantModel):
    """A threshold crossed; inserted by the transaction that crosses it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    budget_period = TenantForeignKey(BudgetPeriod, related_name="alerts")
    basis = models.TextField(_("basis"))
    unit = models.TextField(_("unit"))
    threshold = models.DecimalField(_("threshold"), max_digits=24, decimal_places=12)
    quantile = models.TextField(default="p50")
    hours = models.IntegerField(null=True)
    arm = models.IntegerField()
    limit_at = models.DecimalField(_("limit then"), max_digits=24, decimal_places=12)
    actual_at = models.DecimalField(_("actual then"), max_digits=24, decimal_places=12)
    forecast = models.DecimalField(_("forecast then"), max_digits=24, decimal_places=12, null=True)
    burn_factor = models.DecimalField(
        _("burn rate then"), max_digits=24, decimal_places=12, null=True
    )
    data_through_on = models.DateField(_("data through"), null=True)
    crossed_at = models.DateTimeField(_("crossed"))

    class Meta(TenantModel.Meta):
        db_table = "alert"
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["-crossed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("organization", "budget_period", "basis", "unit", "threshold"),
                    *("quantile", "hours", "arm"),
                ],
                name="alert_once_key",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.threshold.normalize():f} {self.unit}"
