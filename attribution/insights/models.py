"""Unusual spend: what was found, why, and what people made of it."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from attribution.tenancy.models import CostCenter, User


class Granularity(models.TextChoices):
    """What is compared: whole days of the organization's zone, or single hours of them."""

    DAY = "day", _("day")
    HOUR = "hour", _("hour")


class Verdict(models.TextChoices):
    """What people made of an anomaly; `expected` days leave what later days are compared with."""

    NEW = "new", _("new")
    ACKNOWLEDGED = "acknowledged", _("acknowledged")
    EXPECTED = "expected", _("expected")
    FALSE_POSITIVE = "false_positive", _("false alarm")


LATE = "late data"  # the note of a row that late data took back; pages say it in their language


class Anomaly(TenantModel):
    """Days or hours in a row in which a cost center's spend on a model was far from the expected.

    With an API key, the spend of that key alone: what engineers see. The figures are the sums of
    `buckets`, [starts_at, actual, expected] each. Spans of one series never overlap: the database
    refuses a second row about the same hours, whoever finds it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cost_center = TenantForeignKey(
        CostCenter, null=True, editable=False, related_name="+", verbose_name=_("cost center")
    )
    model = models.TextField(_("model"), editable=False)
    granularity = models.TextField(
        _("compared by"), choices=Granularity.choices, default=Granularity.DAY, editable=False
    )
    api_key_id = models.UUIDField(null=True, editable=False)
    api_key_name = models.TextField(_("API key"), default="", editable=False)
    starts_at = models.DateTimeField(_("from"), editable=False)
    ends_at = models.DateTimeField(_("until"), editable=False)
    expected = models.DecimalField(
        _("expected (USD)"), max_digits=24, decimal_places=12, editable=False
    )
    actual = models.DecimalField(
        _("actual (USD)"), max_digits=24, decimal_places=12, editable=False
    )
    impact = models.DecimalField(
        _("impact (USD)"), max_digits=24, decimal_places=12, editable=False
    )
    buckets = models.JSONField(default=list, editable=False)
    reason = models.JSONField(default=dict, editable=False)
    is_alerting = models.BooleanField(_("told by mail"), default=False, editable=False)
    status = models.TextField(_("status"), choices=Verdict.choices, default=Verdict.NEW)
    note = models.CharField(_("note"), max_length=500, blank=True, default="")
    status_by = models.ForeignKey(
        User, models.PROTECT, null=True, editable=False, related_name="+", verbose_name=_("by")
    )
    status_at = models.DateTimeField(null=True, editable=False)
    found_at = models.DateTimeField(_("found"), default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "anomaly"
        verbose_name = _("anomaly")
        verbose_name_plural = _("anomalies")
        ordering = ["-starts_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="anomaly_span_ordered"
            ),
            models.CheckConstraint(
                condition=models.Q(impact=models.F("actual") - models.F("expected")),
                name="anomaly_impact_is_difference",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=Verdict.values), name="anomaly_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(granularity__in=Granularity.values),
                name="anomaly_granularity_known",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-starts_at"], name="anomaly_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.starts_at:%Y-%m-%d %H:%M}"
