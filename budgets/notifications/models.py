"""The outbox: messages owed, and what people want to be told."""

import uuid

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from attribution.tenancy.models import User
from budgets.channels.models import Channel, ChannelKind, Topic


class Notification(TenantModel):
    """One message to one recipient through one channel; delivered from here with retries.

    A row without recipient is an event that the database recorded; gathering turns it into one row
    per recipient, then marks it done. The payload holds every figure the message tells, so that it
    says the same at each attempt.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    topic = models.CharField(_("topic"), max_length=64, choices=Topic.choices)
    dedupe_key = models.CharField(max_length=200)
    recipient = models.CharField(_("to"), max_length=254, blank=True, default="")
    channel = models.CharField(
        _("channel"), max_length=16, blank=True, default="", choices=ChannelKind.choices
    )
    person = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    place = TenantForeignKey(Channel, null=True, related_name="+")
    resends = TenantForeignKey("self", null=True, related_name="+")
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(_("owed since"), default=timezone.now)
    available_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True)
    claimed_by = models.IntegerField(null=True)  # the advisory lock of the deliverer that has it
    attempts = models.IntegerField(default=0)
    done_at = models.DateTimeField(_("delivered"), null=True)
    given_up_at = models.DateTimeField(_("given up"), null=True)
    read_at = models.DateTimeField(_("read"), null=True)
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
                condition=Q(done_at=None, given_up_at=None),
                name="notification_owed",
            ),
            models.Index(fields=["organization", "-created_at"], name="notification_history"),
            models.Index(
                fields=["organization", "person", "-created_at"],
                condition=Q(channel="in_app"),
                name="notification_inbox",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.recipient}"


class MailChoice(models.TextChoices):
    """Which messages a person wants by e-mail at once; all of them stand in the pages anyway."""

    NOW = "now", _("every one")
    HARD = "hard", _("only when calls are refused")
    NEVER = "never", _("none: I look here")


class DigestChoice(models.TextChoices):
    """How often a person wants a summary by e-mail."""

    NONE = "none", _("no summary")
    DAILY = "daily", _("every morning")
    WEEKLY = "weekly", _("on Mondays")
    MONTHLY = "monthly", _("on the first of a month")


class Subscription(TenantModel):
    """What one person wants to be told in an organization; without a row the defaults hold."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(User, models.PROTECT, related_name="+")
    mail = models.CharField(
        _("e-mail at once"), max_length=8, choices=MailChoice.choices, default=MailChoice.NOW
    )
    digest = models.CharField(
        _("summary by e-mail"),
        max_length=8,
        choices=DigestChoice.choices,
        default=DigestChoice.NONE,
    )
    digest_hour = models.PositiveSmallIntegerField(
        _("at the hour"), default=8, validators=[MaxValueValidator(23)]
    )
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "subscription"
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            models.UniqueConstraint(fields=["organization", "person"], name="subscription_key"),
            models.CheckConstraint(
                condition=Q(digest_hour__lte=23), name="subscription_hour_of_a_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.mail}, {self.digest}"


class Acknowledgement(TenantModel):
    """Somebody has seen to what messages told of: once per event, for everybody."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    topic = models.CharField(max_length=64, choices=Topic.choices)
    subject = models.CharField(max_length=200)  # the event's dedupe_key
    person = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField(_("acknowledged"), default=timezone.now)

    class Meta(TenantModel.Meta):
        db_table = "acknowledgement"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "topic", "subject"], name="acknowledgement_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.subject}"
