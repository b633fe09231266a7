"""Ledger entries, which are only ever added, the months they are booked in, and their rollups."""

import uuid

from django.db import models
from django.db.models.expressions import Func
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantModel


class EntryKind(models.TextChoices):
    """Why an entry was posted."""

    SETTLE = "settle", _("settled")
    EXPIRE = "expire", _("expired hold")
    CORRECT = "correct", _("corrected")
    TRUEUP = "trueup", _("trued up")
    RERATE = "rerate", _("re-rated")
    ADJUST = "adjust", _("adjusted")


class Account(models.TextChoices):
    """Which side of a budget period an entry counts on."""

    SPENT = "spent", _("spent")
    UNCERTAIN = "uncertain", _("uncertain")


class TransactionId(models.Field):  # type: ignore[type-arg]  # not generic at run time
    """A PostgreSQL transaction id of 64 bits (xid8); rollups advance by it."""

    def db_type(self, connection: object) -> str:
        """Return the type of the column."""
        return "xid8"


class LedgerEntry(TenantModel):
    """One posting; a settled call has one per token class, and their sum is its cost.

    `call_count` is 1 on the first entry of each state of a call, -1 where that one is reversed, else 0:
    so the number of calls is a sum over entries like everything else. A hot table without foreign
    keys, partitioned by month of its id (a UUIDv7 of the posting).
    """

    id = models.UUIDField(primary_key=True, editable=False)
    usage_id = models.UUIDField(null=True)
    kind = models.TextField(_("kind"), choices=EntryKind.choices)
    account = models.TextField(_("account"), choices=Account.choices)
    token_class = models.TextField(_("token class"), default="")
    quantity = models.DecimalField(_("quantity"), max_digits=24, decimal_places=6, default=0)
    unit_price = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    usd_amount = models.DecimalField(_("USD"), max_digits=24, decimal_places=12, null=True)
    call_count = models.SmallIntegerField(default=0)
    price_version = models.BigIntegerField(null=True)
    cost_center_id = models.UUIDField(null=True)
    occurred_at = models.DateTimeField(_("at"))
    posted_at = models.DateTimeField(_("posted"))
    booked_month = models.DateField(_("month"))
    reverses_id = models.UUIDField(null=True)
    reason = models.TextField(_("reason"), default="")
    actor_id = models.UUIDField(null=True)
    xid = TransactionId(db_default=Func(function="pg_current_xact_id"))

    class Meta(TenantModel.Meta):
        db_table = "ledger_entry"
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["usage_id"], name="ledger_entry_usage"),
            models.Index(fields=["organization", "booked_month"], name="ledger_entry_month"),
            models.Index(fields=["xid"], name="ledger_entry_xid"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class MonthState(models.TextChoices):
    """Where the books of a month stand; a month without a row is open."""

    OPEN = "open", _("open")
    SOFT_CLOSED = "soft_closed", _("soft-closed")
    RECONCILED = "reconciled", _("reconciled")
    CLOSED = "closed", _("closed")
    REOPENED = "reopened", _("reopened")


SHUT = (MonthState.RECONCILED, MonthState.CLOSED)  # nobody re-rates what stands in these


class AccountingPeriod(TenantModel):
    """The state of one month (UTC) of the books.

    Whoever posts into a month that is over takes the shared lock of (organization, month) first,
    whoever shuts it takes it exclusively: see budgets/reservations/rerate.sql for the key.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    month = models.DateField(_("month"))
    state = models.TextField(_("state"), choices=MonthState.choices, default=MonthState.OPEN)

    class Meta(TenantModel.Meta):
        db_table = "accounting_period"
        verbose_name = _("accounting period")
        verbose_name_plural = _("accounting periods")
        constraints = [
            models.UniqueConstraint(fields=["organization", "month"], name="accounting_period_key"),
            models.CheckConstraint(
                condition=models.Q(state__in=MonthState.values),
                name="accounting_period_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class Facet(models.TextChoices):
    """By what a rollup row is told apart besides its cost center.

    Facets never multiply: the cost of a call is in one row of each facet, so every facet sums to
    the ledger and a new high-cardinality dimension only adds its own values.
    """

    MODEL = "model", _("model")
    USER = "user", _("user")
    KEY = "key", _("API key")
    FEATURE = "feature", _("feature")
    PATH = "path", _("path")
    PROMPT = "prompt", _("prompt")
    ENVIRONMENT = "environment", _("environment")


# Of the others an hour has about as many rows as calls: they are kept by day.
HOURLY = frozenset({Facet.MODEL, Facet.KEY, Facet.FEATURE, Facet.ENVIRONMENT})


class Grain(models.TextChoices):
    """How long the bucket of a rollup row is; every grain holds the whole ledger, hours by HOURLY."""

    HOUR = "hour", _("hour")
    DAY = "day", _("day")
    MONTH = "month", _("month")


class Rollup(TenantModel):
    """Sums of the ledger per bucket, facet, cost center, model and value; may be deleted and rebuilt.

    `bucket` is the instant at which an hour begins; of a day or month, which are the organization's
    own, its first date at 00:00 UTC: a name that no daylight saving moves. `value` is the facet's
    value: the billed model, user, key id, feature, path, prompt (name, else fingerprint in hex) or
    environment. Provider and model stand in every facet, since there are few of them.
    """

    id = models.BigAutoField(primary_key=True)
    grain = models.TextField(choices=Grain.choices)
    facet = models.TextField(choices=Facet.choices)
    bucket = models.DateTimeField()
    cost_center_id = models.UUIDField(null=True)
    department_id = models.UUIDField(null=True)
    provider = models.TextField(default="")
    model = models.TextField(default="")
    value = models.TextField(default="")
    calls = models.BigIntegerField(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    estimated_calls = models.BigIntegerField(default=0)
    usd_amount = models.DecimalField(max_digits=24, decimal_places=12, default=0)
    uncertain_amount = models.DecimalField(max_digits=24, decimal_places=12, default=0)
    input_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    cache_write_1h_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    audio_input_tokens = models.BigIntegerField(default=0)
    audio_cache_read_tokens = models.BigIntegerField(default=0)
    audio_output_tokens = models.BigIntegerField(default=0)
    latency_sum_ms = models.BigIntegerField(default=0)
    latency_calls = models.BigIntegerField(default=0)

    class Meta(TenantModel.Meta):
        db_table = "rollup"
        verbose_name = _("rollup")
        verbose_name_plural = _("rollups")
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("organization", "grain", "facet", "bucket", "cost_center_id"),
                    *("department_id", "provider", "model", "value"),
                ],
                name="rollup_key",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.facet} {self.value} {self.bucket:%Y-%m-%d %H:%M}"


class LatencyRollup(TenantModel):
    """How many calls of a model took how long: a histogram that merges by addition.

    Step k counts latencies in (1.04^(k-1), 1.04^k] milliseconds, step 0 those up to 1 ms: a
    percentile read from it is wrong by at most 2 %.
    """

    id = models.BigAutoField(primary_key=True)
    grain = models.TextField(choices=Grain.choices)
    bucket = models.DateTimeField()
    cost_center_id = models.UUIDField(null=True)
    department_id = models.UUIDField(null=True)
    provider = models.TextField(default="")
    model = models.TextField(default="")
    step = models.SmallIntegerField()
    calls = models.BigIntegerField(default=0)

    class Meta(TenantModel.Meta):
        db_table = "latency_rollup"
        verbose_name = _("latency rollup")
        verbose_name_plural = _("latency rollups")
        constraints = [
            models.UniqueConstraint(
                fields=[
                    *("organization", "grain", "bucket", "cost_center_id"),
                    *("department_id", "provider", "model", "step"),
                ],
                name="latency_rollup_key",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.bucket:%Y-%m-%d %H:%M} {self.step}"


class RollupZone(TenantModel):
    """The time zone whose days and months an organization's rollups are cut by."""

    id = models.BigAutoField(primary_key=True)
    time_zone = models.TextField()

    class Meta(TenantModel.Meta):
        db_table = "rollup_zone"
        verbose_name = _("time zone of rollups")
        verbose_name_plural = _("time zones of rollups")
        constraints = [models.UniqueConstraint(fields=["organization"], name="rollup_zone_key")]

    def __str__(self) -> str:
        return self.time_zone


class RollupWatermark(models.Model):
    """How far into the ledger's transactions the rollups reach; one row for all organizations."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    xid = TransactionId()
    advanced_at = models.DateTimeField()

    class Meta:
        db_table = "rollup_watermark"

    def __str__(self) -> str:
        return str(self.xid)
