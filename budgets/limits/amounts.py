"""The amounts behind a budget's limit: its versions, and what was added to it for a while."""

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from attribution.tenancy.models import User
from budgets.limits.models import Budget


class VersionKind(models.TextChoices):
    """Which of the three figures of a budget an amount is; an estimate changes no limit."""

    ORIGINAL = "original", _("original")
    REVISED = "revised", _("revised")
    ESTIMATE = "estimate", _("latest estimate")


class LimitVersion(TenantModel):
    """An amount of a budget: who set it, why, from when."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    budget = TenantForeignKey(Budget, related_name="limit_versions")
    kind = models.CharField(
        _("kind"), max_length=16, choices=VersionKind.choices, default=VersionKind.REVISED
    )
    amount = models.DecimalField(
        _("limit (USD)"), max_digits=24, decimal_places=12, validators=[MinValueValidator(0)]
    )
    effective_at = models.DateTimeField(_("from"))
    set_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=256, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "limit_version"
        verbose_name = _("limit version")
        verbose_name_plural = _("limit versions")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gte=0), name="limit_version_amount_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return str(self.amount)


class BudgetOverride(TenantModel):
    """Money added to a budget's limit for a while; base limit and usage stay as they are.

    It acts from `starts_at` to before `ends_at` once it is approved and until it is revoked.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    budget = TenantForeignKey(Budget, related_name="overrides")
    amount = models.DecimalField(
        _("added to the limit (USD)"),
        max_digits=24,
        decimal_places=12,
        validators=[MinValueValidator(0)],
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("expires"))
    reason = models.CharField(_("reason"), max_length=256)
    requested_by = models.ForeignKey(
        User, models.PROTECT, null=True, related_name="+", verbose_name=_("requested by")
    )
    approved_by = models.ForeignKey(
        User, models.PROTECT, null=True, related_name="+", verbose_name=_("approved by")
    )
    approved_at = models.DateTimeField(_("approved"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)
    expired_at = models.DateTimeField(null=True)  # when its end was written down
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "budget_override"
        verbose_name = _("override")
        verbose_name_plural = _("overrides")
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0), name="budget_override_amount_positive"
            ),
            models.CheckConstraint(
                condition=Q(starts_at__lt=F("ends_at")), name="budget_override_has_length"
            ),
        ]

    def __str__(self) -> str:
        return str(self.amount)
