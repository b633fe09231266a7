"""Public model names, the upstream models they lead to, and rules that lead to cheaper ones."""

import uuid
from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from budgets.limits.models import Budget
from gateway.upstreams.models import Upstream


class Route(TenantModel):
    """A public model name, alias or pattern (`*` matches any part); exact names win."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        _("model"), max_length=128, help_text=_("What clients ask for; * matches any part.")
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "route"
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="route_name_key"),
        ]

    def __str__(self) -> str:
        return self.name


class RouteTarget(TenantModel):
    """Where a route leads; lower positions are tried first, weights share calls of one position."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    route = TenantForeignKey(Route, models.CASCADE, related_name="targets")
    upstream = TenantForeignKey(Upstream, related_name="targets", verbose_name=_("upstream"))
    provider_model = models.CharField(
        _("provider's model"),
        max_length=128,
        blank=True,
        default="",
        help_text=_("Empty: the name the client asked for."),
    )
    position = models.PositiveSmallIntegerField(_("order"), default=0)
    weight = models.PositiveSmallIntegerField(
        _("weight"), default=1, validators=[MinValueValidator(1)]
    )

    class Meta(TenantModel.Meta):
        db_table = "route_target"
        verbose_name = _("target")
        verbose_name_plural = _("targets")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "route", "upstream", "provider_model"],
                name="route_target_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.upstream}: {self.provider_model or '='}"


class DowngradeRule(TenantModel):
    """Sends calls to a cheaper model while a budget that covers them is passed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=64)
    budget = TenantForeignKey(
        Budget,
        related_name="+",
        verbose_name=_("budget"),
        help_text=_("Only calls that it covers are sent elsewhere."),
    )
    percent = models.DecimalField(
        _("from (percent of the limit)"),
        max_digits=7,
        decimal_places=2,
        default=Decimal(80),
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text=_("Spent and uncertain amounts of the running period count."),
    )
    asked_models = models.JSONField(
        _("models asked for"), default=list, help_text=_("Names or patterns, for example gpt-*.")
    )
    cost_centers = models.JSONField(
        _("cost centers"), default=list, blank=True, help_text=_("Codes; empty: all.")
    )
    features = models.JSONField(
        _("features"), default=list, blank=True, help_text=_("As programs name them; empty: all.")
    )
    to_model = models.CharField(
        _("model used instead"), max_length=128, help_text=_("The name of a route.")
    )
    position = models.PositiveSmallIntegerField(
        _("order"), default=0, help_text=_("The first rule that fits decides.")
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "downgrade_rule"
        verbose_name = _("downgrade rule")
        verbose_name_plural = _("downgrade rules")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="downgrade_rule_name_key"
            ),
        ]

    def __str__(self) -> str:
        return self.name
