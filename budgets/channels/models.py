"""Channels of an organization; what opens them is stored sealed."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from attribution.tenancy.models import Department, User


class ChannelKind(models.TextChoices):
    """How a message travels. Everybody has e-mail and the pages; the others are set up."""

    EMAIL = "email", _("e-mail")
    SLACK = "slack", _("Slack-compatible webhook")
    WEBHOOK = "webhook", _("signed webhook")
    IN_APP = "in_app", _("in these pages")


class Topic(models.TextChoices):
    """What a message is about."""

    THRESHOLD = "budget.threshold", _("a threshold was crossed")
    RECOVERED = "budget.recovered", _("a budget is below its thresholds again")
    NO_DATA = "budget.no_data", _("a budget that usually has calls has none")
    OVERRIDE_GRANTED = "override.granted", _("a limit was raised for a while")
    OVERRIDE_EXPIRING = "override.expiring", _("a raise ends soon")
    ANOMALY = "anomaly.found", _("unusual spend")
    DIGEST = "digest", _("summary")
    TEST = "channel.test", _("test message")


class Channel(TenantModel):
    """A place of the organization that messages go to: a shared mailbox, a chat, a program.

    The address of a mailbox is plain; that of a webhook is a secret, as is what signs it. Both are
    sealed, and only their ends are shown.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=64)
    kind = models.CharField(_("kind"), max_length=16, choices=ChannelKind.choices)
    mailbox = models.EmailField(_("mailbox"), blank=True, default="")
    language = models.CharField(_("language"), max_length=16, blank=True, default="")
    topics = models.JSONField(_("only about"), default=list, blank=True)
    department = TenantForeignKey(
        Department,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("only budgets of"),
        help_text=_("Empty: those of the whole organization."),
    )
    address_sealed = models.BinaryField(null=True, editable=False)
    address_hint = models.CharField(max_length=128, blank=True, default="", editable=False)
    secret_sealed = models.BinaryField(null=True, editable=False)
    # After a rotation both secrets sign until this instant, so that receivers change in peace.
    previous_secret_sealed = models.BinaryField(null=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    refused_at = models.DateTimeField(_("refused for good"), null=True, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "channel"
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=Q(archived_at=None),
                name="channel_name_key",
            ),
            models.CheckConstraint(
                name="channel_leads_somewhere",
                condition=(
                    Q(kind="email") & ~Q(mailbox="")
                    | Q(kind="slack", mailbox="", address_sealed__isnull=False)
                    | Q(
                        kind="webhook",
                        mailbox="",
                        address_sealed__isnull=False,
                        secret_sealed__isnull=False,
                    )
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name
