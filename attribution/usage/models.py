"""Metered calls, their attempts and the names of their prompts."""

import uuid
from datetime import UTC, datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import ScopedManager, ScopedQuerySet, TenantModel

TOKEN_CLASSES = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "audio_cache_read",
    "audio_output",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class CallState(models.TextChoices):
    """Where a call stands: held -> settled | released | uncertain; denied is born and stays."""

    HELD = "held", _("held")
    SETTLED = "settled", _("settled")
    RELEASED = "released", _("released")
    UNCERTAIN = "uncertain", _("uncertain")
    DENIED = "denied", _("denied")


class CostSource(models.TextChoices):
    """Where the cost of a call comes from."""

    USAGE = "usage", _("reported usage at our price")
    PROVIDER = "provider", _("stated by the provider")
    COUNT = "count", _("counted by us")
    BOUND = "bound", _("the most it can have cost")


class UsageRecordQuerySet(ScopedQuerySet["UsageRecord"]):
    """Calls, by when they happened."""

    def between(self, start: datetime, end: datetime) -> "UsageRecordQuerySet":
        """Return calls of [start, end); bounds on the id prune partitions."""
        return self.filter(id__gte=floor_id(start), id__lt=floor_id(end))

    def in_cost_center(self, cost_center_id: uuid.UUID) -> "UsageRecordQuerySet":
        """Return calls booked to one cost center."""
        return self.filter(cost_center_id=cost_center_id)


UsageRecordManager = ScopedManager.from_queryset(UsageRecordQuerySet)


class UsageRecord(TenantModel):
    """One metered call; opened at reserve, finished at settle, by SQL functions only.

    A hot table without foreign keys, partitioned by month of its id (a UUIDv7 of `occurred_at`).
    """

    id = models.UUIDField(primary_key=True, editable=False)
    api_key_id = models.UUIDField(null=True)
    api_key_name = models.TextField(_("API key"), default="")
    department_id = models.UUIDField(null=True)
    cost_center_id = models.UUIDField(null=True)
    is_attribution_flagged = models.BooleanField(default=False)
    user_id = models.TextField(_("user"), default="")
    path = models.TextField(_("path"), default="")
    feature = models.TextField(_("feature"), default="")
    session_id = models.TextField(default="")
    feature_flag = models.TextField(default="")
    environment = models.TextField(_("environment"), default="")
    tags = models.JSONField(_("tags"), default=dict)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.TextField(default="")
    prompt_fp = models.BinaryField(null=True)
    prompt_name = models.TextField(_("prompt"), default="")
    route = models.TextField(_("route"), default="")
    provider = models.TextField(_("provider"), default="")
    upstream_id = models.UUIDField(null=True)
    model_requested = models.TextField(_("requested model"), default="")
    model_billed = models.TextField(_("billed model"), default="")
    provider_model = models.TextField(default="")  # what the target was asked for by
    service_tier = models.TextField(default="")
    wire_format = models.TextField(default="")
    is_stream = models.BooleanField(default=False)
    state = models.TextField(_("state"), choices=CallState.choices)
    hold_amount = models.DecimalField(max_digits=24, decimal_places=12, default=0)
    cost = models.DecimalField(_("cost"), max_digits=24, decimal_places=12, null=True)
    cost_source = models.TextField(default="", choices=CostSource.choices)
    is_estimated = models.BooleanField(_("estimated"), default=False)
    price_version = models.BigIntegerField(null=True)
    usage = models.JSONField(null=True)
    input_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    cache_write_1h_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    audio_input_tokens = models.BigIntegerField(default=0)
    audio_cache_read_tokens = models.BigIntegerField(default=0)
    audio_output_tokens = models.BigIntegerField(default=0)
    attempts = models.IntegerField(default=0)
    upstream_request_id = models.TextField(default="")
    http_status = models.IntegerField(null=True)
    error_code = models.TextField(default="")
    refusal = models.JSONField(null=True)
    worker_id = models.UUIDField(null=True)
    source = models.TextField(default="gateway")
    occurred_at = models.DateTimeField(_("at"))
    deadline_at = models.DateTimeField(null=True)
    first_byte_ms = models.IntegerField(null=True)
    total_ms = models.IntegerField(null=True)
    settled_at = models.DateTimeField(null=True)

    objects = UsageRecordManager()  # type: ignore[misc]  # narrows the inherited manager

    class Meta(TenantModel.Meta):
        db_table = "usage_record"
        verbose_name = _("call")
        verbose_name_plural = _("calls")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=CallState.values), name="usage_record_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "id"], name="usage_record_newest"),
            models.Index(
                fields=["worker_id", "deadline_at"],
                condition=models.Q(state="held"),
                name="usage_record_open",
            ),
            models.Index(
                fields=["organization", "id"],
                condition=models.Q(state="settled", cost=None),
                name="usage_record_unpriced",
            ),
            models.Index(
                fields=["organization", "id"],
                condition=models.Q(refusal__isnull=False),
                name="usage_record_refused",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def tokens(self) -> dict[str, int]:
        """Return the tokens of each class that occurred."""
        counts = {name: getattr(self, f"{name}_tokens") for name in TOKEN_CLASSES}
        return {name: count for name, count in counts.items() if count}


class Attempt(TenantModel):
    """One try to reach an upstream for a call."""

    pk = models.CompositePrimaryKey("usage_id", "n")
    usage_id = models.UUIDField()
    n = models.SmallIntegerField()
    upstream_id = models.UUIDField(null=True)
    sent_at = models.DateTimeField()
    status = models.IntegerField(null=True)
    error_code = models.TextField(default="")
    provider_request_id = models.TextField(default="")
    usage = models.JSONField(null=True)

    class Meta(TenantModel.Meta):
        db_table = "attempt"
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")

    def __str__(self) -> str:
        return f"{self.usage_id} #{self.n}"


class PromptFingerprint(TenantModel):
    """What a prompt template is called; its text is never kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    fingerprint = models.BinaryField(max_length=16)
    name = models.CharField(_("name"), max_length=128, blank=True, default="")
    first_seen_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        db_table = "prompt_fingerprint"
        verbose_name = _("prompt")
        verbose_name_plural = _("prompts")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "fingerprint"], name="prompt_fingerprint_key"
            ),
        ]

    def __str__(self) -> str:
        return self.name or bytes(self.fingerprint).hex()[:12]


def floor_id(at: datetime) -> uuid.UUID:
    """Return the smallest UUIDv7 of an instant, as uuid7_floor does in SQL."""
    milliseconds = (at - _EPOCH) // _MILLISECOND
    return uuid.UUID(int=milliseconds << 80)
