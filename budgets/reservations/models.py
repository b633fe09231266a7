"""Holds of calls, their breached bounds, the clients' idempotency keys, and re-ratings under way."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantModel


class Reservation(TenantModel):
    """The amount kept in one budget period for one call; says for ever where the call counts.

    A hot table without foreign keys, partitioned by month of the call's id.
    """

    pk = models.CompositePrimaryKey("usage_id", "budget_period_id")
    usage_id = models.UUIDField()
    budget_period_id = models.BigIntegerField()
    amount = models.DecimalField(_("amount"), max_digits=24, decimal_places=12)

    class Meta(TenantModel.Meta):
        db_table = "reservation"
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        indexes = [
            models.Index(fields=["budget_period_id", "usage_id"], name="reservation_period"),
        ]

    def __str__(self) -> str:
        return f"{self.usage_id} {self.amount}"


class Idempotency(TenantModel):
    """A client's idempotency key: the call it belongs to and the body it came with."""

    pk = models.CompositePrimaryKey("organization", "api_key_id", "idem_hash")
    api_key_id = models.UUIDField()
    idem_hash = models.BinaryField()
    usage_id = models.UUIDField()
    body_fp = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        db_table = "idempotency"
        indexes = [
            models.Index(fields=["created_at"], name="idempotency_age"),
            models.Index(fields=["usage_id"], name="idempotency_call"),
        ]

    def __str__(self) -> str:
        return bytes(self.idem_hash).hex()


class IngestedEvent(TenantModel):
    """A call made elsewhere, by the name its reporter gave it: recorded once, for ever."""

    pk = models.CompositePrimaryKey("organization", "source", "event_id")
    source = models.TextField()
    event_id = models.TextField()
    usage_id = models.UUIDField()
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        db_table = "ingested_event"

    def __str__(self) -> str:
        return f"{self.source} {self.event_id}"


class BoundBreach(TenantModel):
    """Calls of one model and wire format that cost more than their hold: refused under hard budgets.

    Written in the transaction that settled the first such call; a person clears it.
    """

    id = models.BigAutoField(primary_key=True)
    model = models.TextField(_("model"))
    wire_format = models.TextField(_("wire format"))
    usage_id = models.UUIDField(_("call"))
    hold = models.DecimalField(_("held"), max_digits=24, decimal_places=12)
    cost = models.DecimalField(_("cost"), max_digits=24, decimal_places=12, null=True)
    found_at = models.DateTimeField(_("found"))
    cleared_at = models.DateTimeField(_("cleared"), null=True)
    cleared_by_id = models.UUIDField(null=True)

    class Meta(TenantModel.Meta):
        db_table = "bound_breach"
        verbose_name = _("breached bound")
        verbose_name_plural = _("breached bounds")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "model", "wire_format"],
                condition=models.Q(cleared_at=None),
                name="bound_breach_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} · {self.wire_format}"


class Rerating(TenantModel):
    """A re-rating that a person confirmed: which calls, why, how far it got, what it changed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))
    provider = models.TextField(_("provider"), default="")
    model = models.TextField(_("model"), default="")
    is_unpriced_only = models.BooleanField(default=False)
    reason = models.TextField(_("reason"))
    actor_id = models.UUIDField(null=True)
    after_id = models.UUIDField(null=True)  # the last call that was looked at
    calls = models.BigIntegerField(_("calls"), default=0)
    unpriced = models.BigIntegerField(default=0)
    tokens = models.BigIntegerField(_("tokens"), default=0)
    was = models.DecimalField(_("old cost"), max_digits=24, decimal_places=12, default=0)
    cost = models.DecimalField(_("new cost"), max_digits=24, decimal_places=12, default=0)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        db_table = "rerating"
        verbose_name = _("re-rating")
        verbose_name_plural = _("re-ratings")
        indexes = [
            models.Index(
                fields=["organization", "created_at"],
                condition=models.Q(finished_at=None),
                name="rerating_open",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)
