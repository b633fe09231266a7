"""API keys, what programs present to the gateway, and rate limits beside those of a key."""

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from attribution.tenancy.models import CostCenter, User


class Enrich(models.TextChoices):
    """Where a client finds what its call cost."""

    FULL = "full", _("in the answer's usage and in headers")
    HEADERS = "headers", _("in headers only; the body passes unchanged")


class ApiKey(TenantModel):
    """A key of a program; its secret is kept as a keyed digest and shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The first key of a chain of rotations: calls, budgets and limits go on under its id.
    lineage_id = models.UUIDField(null=True, editable=False)
    name = models.CharField(_("name"), max_length=64)
    kid = models.CharField(_("key id"), max_length=12, editable=False, db_index=True)
    secret_hash = models.BinaryField(editable=False)
    pepper_version = models.PositiveSmallIntegerField(default=1, editable=False)
    cost_center = TenantForeignKey(
        CostCenter,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("cost center"),
        help_text=_("Where calls are booked that name none. Empty: the organization's default."),
    )
    is_cost_center_pinned = models.BooleanField(
        _("cost center cannot be overridden"), default=False
    )
    allowed_cost_centers = models.JSONField(
        _("allowed cost centers"), default=list, blank=True, help_text=_("Codes; empty: all.")
    )
    user_name = models.CharField(_("user"), max_length=128, blank=True, default="")
    is_user_pinned = models.BooleanField(_("user cannot be overridden"), default=False)
    allowed_models = models.JSONField(
        _("allowed models"), default=list, blank=True, help_text=_("Names or patterns; empty: all.")
    )
    scopes = models.JSONField(
        _("what it may do"), default=list, blank=True, help_text=_("None chosen: everything.")
    )
    enrich = models.CharField(
        _("cost of a call is shown"), max_length=8, choices=Enrich.choices, default=Enrich.FULL
    )
    is_amount_hidden = models.BooleanField(_("hide budget amounts in refusals"), default=False)
    max_output_tokens = models.PositiveIntegerField(_("most output tokens"), null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(
        _("requests per minute"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("By all gateways together, in any 60 seconds. Empty: no limit."),
    )
    tokens_per_minute = models.PositiveIntegerField(
        _("tokens per minute"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Input and output. Empty: no limit."),
    )
    concurrent_streams = models.PositiveIntegerField(
        _("concurrent streams"),
        default=1000,
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Streamed answers under way at a time. Empty: no limit."),
    )
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    notes = models.CharField(_("notes"), max_length=500, blank=True, default="")
    created_by = models.ForeignKey(
        User, models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "api_key"
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = [
            models.UniqueConstraint(fields=["organization", "kid"], name="api_key_kid_key"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def lineage(self) -> uuid.UUID:
        """Return the id under which calls and budgets know this key and those it replaces."""
        return self.lineage_id or self.pk


class RateLimit(TenantModel):
    """How much a cost center, or the whole organization, may ask for; a key has limits of its own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cost_center = TenantForeignKey(
        CostCenter,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("cost center"),
        help_text=_("All calls that are booked there. Empty: all calls of the organization."),
    )
    requests_per_minute = models.PositiveIntegerField(
        _("requests per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    tokens_per_minute = models.PositiveIntegerField(
        _("tokens per minute"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    concurrent_streams = models.PositiveIntegerField(
        _("concurrent streams"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "rate_limit"
        verbose_name = _("rate limit")
        verbose_name_plural = _("rate limits")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "cost_center"],
                name="rate_limit_key",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return str(self.cost_center or _("the whole organization"))
