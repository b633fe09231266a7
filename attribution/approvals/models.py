"""Requests that wait for a second person; what was asked never changes."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantModel
from attribution.tenancy.models import User


class Decision(models.TextChoices):
    """How a request ended."""

    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")
    WITHDRAWN = "withdrawn", _("withdrawn")


class ApprovalRequest(TenantModel):
    """A change that one person asks for and another decides about.

    `payload` says the change in the words of its kind; `payload_digest` shows that it is still what
    was asked. `approver` may decide besides those whose role lets them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=64)
    subject_id = models.CharField(_("about"), max_length=64)
    subject_name = models.CharField(_("about"), max_length=256)
    payload = models.JSONField(_("what is asked for"))
    payload_digest = models.CharField(max_length=64)
    reason = models.CharField(_("reason"), max_length=256)
    requested_by = models.ForeignKey(
        User, models.PROTECT, related_name="+", verbose_name=_("asked by")
    )
    requested_at = models.DateTimeField(_("asked at"), default=timezone.now)
    approver = models.ForeignKey(
        User, models.PROTECT, null=True, related_name="+", verbose_name=_("approver")
    )
    decision = models.CharField(
        _("decision"), max_length=16, choices=Decision.choices, blank=True, default=""
    )
    decided_by = models.ForeignKey(
        User, models.PROTECT, null=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True)
    note = models.CharField(_("note"), max_length=256, blank=True, default="")

    class Meta(TenantModel.Meta):
        db_table = "approval_request"
        verbose_name = _("approval request")
        verbose_name_plural = _("approval requests")
        ordering = ["-requested_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "kind", "subject_id"],
                condition=Q(decision=""),
                name="approval_request_one_open",
            ),
            models.CheckConstraint(
                name="approval_request_second_person",
                condition=(
                    Q(decision="", decided_by=None, decided_at=None)
                    | Q(
                        decision="withdrawn", decided_by=F("requested_by"), decided_at__isnull=False
                    )
                    | Q(
                        decision__in=["approved", "rejected"],
                        decided_by__isnull=False,
                        decided_at__isnull=False,
                    )
                    & ~Q(decided_by=F("requested_by"))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_name}"
