"""The audit trail: rows are only ever added."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantModel


class AuditEntry(TenantModel):
    """Who did what to which object, with digests of before and after and no secrets."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(_("at"), default=timezone.now)
    actor_type = models.CharField(_("actor type"), max_length=16)
    actor_id = models.UUIDField(_("actor"), null=True)
    action = models.CharField(_("action"), max_length=64)
    object_type = models.CharField(_("object type"), max_length=64)
    object_id = models.CharField(_("object"), max_length=64)
    changes = models.JSONField(_("changes"), default=dict)
    before_hash = models.CharField(max_length=64, blank=True, default="")
    after_hash = models.CharField(max_length=64, blank=True, default="")
    ip = models.GenericIPAddressField(_("address"), null=True)
    request_id = models.CharField(max_length=64, blank=True, default="")

    class Meta(TenantModel.Meta):
        db_table = "audit_entry"
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            models.Index(fields=["organization", "at"], name="audit_entry_at"),
            models.Index(
                fields=["organization", "object_type", "object_id"], name="audit_entry_object"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class AuditSeal(TenantModel):
    """An entry's place in the hash chain of its organization; written once by the sealing job."""

    id = models.UUIDField(primary_key=True, help_text="the id of the sealed entry")
    seq = models.BigIntegerField()
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta(TenantModel.Meta):
        db_table = "audit_seal"
        constraints = [
            models.UniqueConstraint(fields=["organization", "seq"], name="audit_seal_seq_key"),
        ]

    def __str__(self) -> str:
        return str(self.seq)
