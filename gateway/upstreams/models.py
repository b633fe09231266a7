"""Provider accounts and their sealed credentials."""

import uuid
from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from attribution.tenancy.models import User


class UpstreamKind(models.TextChoices):
    """What kind of service an upstream is: address, header, wire format, quirks (see kinds.py)."""

    OPENAI = "openai", "OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"
    GEMINI = "gemini", "Gemini"
    DEEPSEEK = "deepseek", "DeepSeek"
    AZURE_OPENAI = "azure_openai", "Azure OpenAI"
    OPENROUTER = "openrouter", "OpenRouter"
    OPENAI_COMPATIBLE = "openai_compatible", _("OpenAI-compatible")
    DEMO = "demo", _("demo (answers offline)")


class Upstream(TenantModel):
    """Our account at a provider; the credential can only be opened by a gateway."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=64)
    kind = models.CharField(_("kind"), max_length=32, choices=UpstreamKind.choices)
    base_url = models.CharField(_("address"), max_length=256, blank=True, default="")
    provider = models.CharField(
        _("provider in the price list"), max_length=64, blank=True, default=""
    )
    discount_percent = models.DecimalField(
        _("discount (%)"),
        max_digits=7,
        decimal_places=4,
        default=Decimal(0),
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text=_("What the provider takes off its list, for example 12.5."),
    )
    markup_percent = models.DecimalField(
        _("markup (%)"),
        max_digits=8,
        decimal_places=4,
        default=Decimal(0),
        validators=[MinValueValidator(0)],
        help_text=_("What is added after the discount, for example 5."),
    )
    is_cost_reported = models.BooleanField(
        _("charges what it reports"),
        default=False,
        help_text=_("The cost stated in its answers wins over the price list."),
    )
    is_error_unbilled = models.BooleanField(
        _("errors are not billed"),
        default=False,
        help_text=_("An error answer without usage releases the call's hold."),
    )
    connect_timeout_s = models.PositiveSmallIntegerField(_("connect within (s)"), default=5)
    idle_timeout_s = models.PositiveSmallIntegerField(_("silence at most (s)"), default=60)
    total_timeout_s = models.PositiveIntegerField(_("answer within (s)"), default=600)
    credential_sealed = models.BinaryField(null=True, editable=False)
    credential_hint = models.CharField(max_length=8, blank=True, default="", editable=False)
    credential_fingerprint = models.CharField(max_length=16, blank=True, default="", editable=False)
    credential_version = models.PositiveIntegerField(default=0, editable=False)
    credential_set_at = models.DateTimeField(null=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    archived_at = models.DateTimeField(null=True, editable=False)
    # When a gateway last left it alone because it kept failing: kept by gateway_probe.
    rested_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "upstream"
        verbose_name = _("upstream")
        verbose_name_plural = _("upstreams")
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="upstream_name_key"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def price_multiplier(self) -> Decimal:
        """Return by what every list rate is multiplied; gateway_catalog says the same in SQL."""
        return (100 - self.discount_percent) * (100 + self.markup_percent) * Decimal("0.0001")


class UpstreamProbe(TenantModel):
    """The latest test of an upstream: asked on its page, answered by a gateway, which has its key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    upstream = TenantForeignKey(Upstream, related_name="probes")
    asked_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    taken_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    code = models.CharField(
        max_length=32, blank=True, default=""
    )  # what went wrong; empty: nothing
    http_status = models.PositiveSmallIntegerField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)
    model_count = models.PositiveIntegerField(null=True)
    quote = models.CharField(max_length=200, blank=True, default="")  # the upstream's own words

    class Meta(TenantModel.Meta):
        db_table = "upstream_probe"
        constraints = [
            models.UniqueConstraint(fields=["organization", "upstream"], name="upstream_probe_key"),
        ]
        indexes = [  # every gateway looks for these every two seconds
            models.Index(
                fields=["asked_at"],
                condition=models.Q(answered_at__isnull=True),
                name="upstream_probe_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.upstream_id}: {self.code or self.http_status}"
