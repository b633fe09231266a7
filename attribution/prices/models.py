"""Dated prices; rows are ended and followed, never edited."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantModel
from attribution.isolation.transaction import required


class PriceStatus(models.TextChoices):
    """Whether a price is in force."""

    DRAFT = "draft", _("waits for approval")
    APPROVED = "approved", _("in force")
    RETIRED = "retired", _("retired")


class PriceQuerySet(models.QuerySet["Price"]):
    """The shared list and the organization's own prices."""

    def visible(self) -> "PriceQuerySet":
        """Return the shared list and the prices of the organization being served."""
        return self.filter(Q(organization__isnull=True) | Q(organization_id=required()))

    def own(self) -> "PriceQuerySet":
        """Return the prices of the organization being served."""
        return self.filter(organization_id=required())

    def shared(self) -> "PriceQuerySet":
        """Return the list price of everybody."""
        return self.filter(organization__isnull=True)

    def open_at(self, at: object) -> "PriceQuerySet":
        """Return the prices in force at an instant."""
        return self.filter(Q(effective_from__lte=at), Q(effective_to=None) | Q(effective_to__gt=at))


class Price(models.Model):
    """Rates of one model from one instant to another; list price without organization.

    `id` is the price version that usage records and ledger entries name. `rates` is the
    structure of attribution.prices.pricing, decimal strings in USD per million tokens. `sources`
    keeps the base rates that each list states, and what a person decided about a difference.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(
        "attribution.Organization",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    provider = models.CharField(_("provider"), max_length=64)
    model = models.CharField(_("model"), max_length=200)
    match = models.JSONField(_("other names"), default=dict, blank=True)
    rates = models.JSONField(_("rates"))
    currency = models.CharField(_("currency"), max_length=16, default="USD")
    context_window = models.PositiveIntegerField(_("context window"), null=True, blank=True)
    max_output_tokens = models.PositiveIntegerField(_("most output tokens"), null=True, blank=True)
    effective_from = models.DateTimeField(_("from"))
    effective_to = models.DateTimeField(_("to"), null=True, blank=True)
    source = models.CharField(_("source"), max_length=64, default="manual")
    sources = models.JSONField(default=dict, blank=True, editable=False)
    status = models.CharField(
        _("status"), max_length=16, choices=PriceStatus.choices, default=PriceStatus.APPROVED
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PriceQuerySet.as_manager()

    class Meta:
        db_table = "price"
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = [
            models.CheckConstraint(
                condition=Q(effective_to=None) | Q(effective_to__gt=models.F("effective_from")),
                name="price_ends_after_it_starts",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "provider", "model", "effective_from"], name="price_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"


class Verdict(models.TextChoices):
    """What an organization decided about a price proposal."""

    ACCEPTED = "accepted", _("accepted")
    REJECTED = "rejected", _("rejected")


class PriceDecision(TenantModel):
    """What an organization decided about one waiting price of the shared list, for itself alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    price_id = models.BigIntegerField()  # of the shared list, which knows no organization
    verdict = models.CharField(_("decision"), max_length=16, choices=Verdict.choices)
    own_price_id = models.BigIntegerField(null=True)  # the price that accepting opened
    reason = models.CharField(_("reason"), max_length=200, blank=True, default="")
    decided_by = models.UUIDField(null=True)
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta(TenantModel.Meta):
        db_table = "price_decision"
        verbose_name = _("price decision")
        verbose_name_plural = _("price decisions")
        constraints = [
            models.UniqueConstraint(fields=["organization", "price_id"], name="price_decision_key"),
        ]

    def __str__(self) -> str:
        return f"{self.price_id} {self.verdict}"


class PriceProposal(Price):
    """A price of the shared list that waits for a person, with what each list states."""

    class Meta:
        proxy = True
        verbose_name = _("price proposal")
        verbose_name_plural = _("price proposals")
