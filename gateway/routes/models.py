"""Public model names and the upstream models they lead to."""

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
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
