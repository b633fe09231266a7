"""Plans: many changes of budgets that were previewed and wait to be applied."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantModel
from attribution.tenancy.models import User


class PlanKind(models.TextChoices):
    """Where a plan comes from."""

    IMPORT = "import", _("file")
    COPY = "copy", _("copy of the last period")


class BudgetPlan(TenantModel):
    """Changes of budgets as they were previewed; applied once, as they stand, or not at all.

    `steps` holds every row with what it does and how its budget stood when it was previewed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=16, choices=PlanKind.choices)
    source = models.CharField(_("file"), max_length=200, blank=True, default="")
    reason = models.CharField(_("reason"), max_length=200, blank=True, default="")
    steps = models.JSONField()
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    made_at = models.DateTimeField(default=timezone.now)
    applied_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    applied_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        db_table = "budget_plan"
        verbose_name = _("budget plan")
        verbose_name_plural = _("budget plans")
        constraints = [
            models.CheckConstraint(
                name="budget_plan_applied_whole",
                condition=(
                    Q(applied_by=None, applied_at=None)
                    | Q(applied_by__isnull=False, applied_at__isnull=False)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.made_at:%Y-%m-%d %H:%M}"
