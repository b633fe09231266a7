"""The outbox: messages owed to people."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantModel


class Notification(TenantModel):
    """One message to one recipient through one channel; delivered from here with retries.

    A row without recipient is an event that the database recorded; gathering turns it into one row
    per recipient, then marks it done.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    topic = models.CharField(_("topic"), max_length=64)
    dedupe_key = models.CharField(max_length=200)
    recipient = models.CharField(_("to"), max_length=254, blank=True, default="")
    channel = models.CharField(_("channel"), max_length=16, blank=True, default="")
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(_("owed since"), default=timezone.now)
    available_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    done_at = models.DateTimeField(_("delivered"), null=True)
    last_error = models.TextField(_("last error"), blank=True, default="")

    class Meta(TenantModel.Meta):
        db_table = "notification"
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "topic", "dedupe_key"], name="notification_once_key"
            ),
        ]
        indexes = [
            models.Index(
                fields=["available_at"],
                condition=models.Q(done_at=None),
                name="notification_owed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.recipient}"
