"""The newest forecast of each budget period, and the state the period was last seen in."""

import uuid

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from budgets.alerts.states import OK
from budgets.limits.models import BudgetPeriod


class Status(models.TextChoices):
    """Whether there is a forecast, and whether it still says something about now."""

    READY = "ok", _("up to date")
    INSUFFICIENT_DATA = "insufficient_data", _("fewer than 3 complete days")
    STALE = "stale", _("out of date")


class Method(models.TextChoices):
    """How the days to come are expected."""

    RUN_RATE = "run_rate", _("run-rate")
    WEEKDAY = "weekday", _("weekday median")
    HOLT_WINTERS = "holt_winters", _("Holt-Winters")


class Forecast(TenantModel):
    """What a budget period will have cost; `outline` is what the complete days gave, kept for a day.

    p10 and p90 are absent where the backtest has fewer than 8 errors. `state` is that of the last
    evaluation, `charged_state` that by what is charged alone: a recovery is told against it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    budget_period = TenantForeignKey(BudgetPeriod, related_name="forecasts")
    status = models.CharField(max_length=32, choices=Status.choices)
    method = models.CharField(max_length=32, choices=Method.choices, blank=True, default="")
    days = models.IntegerField(default=0)
    through_on = models.DateField(null=True)
    p10 = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    p50 = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    p90 = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    exhausted_on = models.DateField(null=True)
    mape = models.DecimalField(max_digits=18, decimal_places=6, null=True)
    coverage = models.DecimalField(max_digits=7, decimal_places=6, null=True)
    silent_since = models.DateField(null=True)
    is_burning = models.BooleanField(default=False)
    state = models.CharField(max_length=16, default=OK)
    charged_state = models.CharField(max_length=16, default=OK)
    outline = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    modelled_at = models.DateTimeField()
    computed_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        db_table = "forecast"
        verbose_name = _("forecast")
        verbose_name_plural = _("forecasts")
        constraints = [
            models.UniqueConstraint(fields=["organization", "budget_period"], name="forecast_key"),
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="forecast_status_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.method}"
