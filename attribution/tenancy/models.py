"""Organizations, their people, their departments and their cost centers."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel


class UnknownCostCenter(models.TextChoices):
    """What happens to a call that names a cost center nobody knows."""

    REFUSE = "refuse", _("refuse the call")
    DEFAULT = "default", _("book it to the default cost center and flag it")


class Organization(models.Model):
    """The tenant: a company that uses this installation."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(_("short name"), max_length=50, unique=True)
    name = models.CharField(_("name"), max_length=128)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    reporting_currency = models.CharField(_("reporting currency"), max_length=3, default="USD")
    locale = models.CharField(_("language"), max_length=16, default="en")
    fiscal_start_month = models.PositiveSmallIntegerField(_("fiscal year starts in"), default=1)
    retention_days = models.PositiveIntegerField(
        _("days calls are kept"), default=90, validators=[MinValueValidator(1)]
    )
    unknown_cost_center = models.CharField(
        _("unknown cost center"),
        max_length=16,
        choices=UnknownCostCenter.choices,
        default=UnknownCostCenter.REFUSE,
    )
    default_cost_center_id = models.UUIDField(_("default cost center"), null=True, blank=True)
    anomaly_call_usd = models.DecimalField(
        _("a call is unusual above (USD)"), max_digits=24, decimal_places=12, default="0.10"
    )
    anomaly_deviation = models.DecimalField(
        _("a day is unusual beyond (deviations)"),
        max_digits=6,
        decimal_places=2,
        default="3",
        validators=[MinValueValidator(0)],
        help_text=_("Times the usual deviation of a cost center's days from what was expected."),
    )
    anomaly_share = models.DecimalField(
        _("a day is unusual beyond (share of the expected)"),
        max_digits=6,
        decimal_places=4,
        default="0.25",
        validators=[MinValueValidator(0)],
        help_text=_("0.25 is a quarter. The largest of the three limits counts."),
    )
    anomaly_least_usd = models.DecimalField(
        _("a day is unusual beyond (USD)"),
        max_digits=24,
        decimal_places=12,
        default="10",
        validators=[MinValueValidator(0)],
        help_text=_("Smaller differences are never an anomaly."),
    )
    anomaly_alert_usd = models.DecimalField(
        _("people are told of an anomaly from (USD)"),
        max_digits=24,
        decimal_places=12,
        default="50",
        validators=[MinValueValidator(0)],
        help_text=_("Of its impact, more or less; smaller ones only stand in the list."),
    )
    raise_needs_approval_above = models.DecimalField(
        _("a second person approves a raise above (USD)"),
        max_digits=24,
        decimal_places=12,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_(
            "Of a budget's limit, within one period, or for a while. Empty: nobody is asked."
        ),
    )
    fail_open_when_db_down = models.BooleanField(
        _("serve keys without hard budgets while the database is away"), default=False
    )
    policy_epoch = models.BigIntegerField(default=1, editable=False)
    admissions_stopped_at = models.DateTimeField(null=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "organization"
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Creates people by their e-mail address."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """Create a person who signs in with an e-mail address and a password."""
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":
        """Create a person of the platform's staff; this widens permissions, not tenancy."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)


class Theme(models.TextChoices):
    """How pages look."""

    SYSTEM = "system", _("as the system")
    LIGHT = "light", _("light")
    DARK = "dark", _("dark")


class User(AbstractBaseUser, PermissionsMixin):
    """A person; what they may do in an organization is their Membership."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(_("name"), max_length=128, blank=True, default="")
    language = models.CharField(_("language"), max_length=16, blank=True, default="")
    theme = models.CharField(_("theme"), max_length=8, choices=Theme.choices, default=Theme.SYSTEM)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "tollkeeper_user"
        verbose_name = _("person")
        verbose_name_plural = _("people")

    def __str__(self) -> str:
        return self.name or self.email


class Role(models.TextChoices):
    """What a person does in an organization."""

    OWNER = "owner", _("owner")
    FINANCE = "finance", _("finance")
    MANAGER = "manager", _("manager")
    ENGINEER = "engineer", _("engineer")
    AUDITOR = "auditor", _("auditor")


class Department(TenantModel):
    """A node in the tree of the company."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=128)
    parent = TenantForeignKey(
        "self", null=True, blank=True, related_name="children", verbose_name=_("part of")
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "department"
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="department_name_key"),
        ]

    def __str__(self) -> str:
        return self.name


class CostCenter(TenantModel):
    """Where spend is booked; carries the general-ledger account."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(_("code"), max_length=32)
    name = models.CharField(_("name"), max_length=128)
    department = TenantForeignKey(
        Department, null=True, blank=True, related_name="cost_centers", verbose_name=_("department")
    )
    gl_account = models.CharField(_("GL account"), max_length=64, blank=True, default="")
    owner = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("owner")
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "cost_center"
        verbose_name = _("cost center")
        verbose_name_plural = _("cost centers")
        constraints = [
            models.UniqueConstraint(fields=["organization", "code"], name="cost_center_code_key"),
        ]

    def __str__(self) -> str:
        return f"{self.code} · {self.name}"


class BlockedKind(models.TextChoices):
    """What the kill switch stops."""

    ORGANIZATION = "organization", _("the organization")
    COST_CENTER = "cost_center", _("cost center")
    API_KEY = "api_key", _("API key")


class Block(TenantModel):
    """The kill switch, thrown over a key, a cost center or the organization until it is lifted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=16, choices=BlockedKind.choices)
    target_id = models.UUIDField()  # of a key its lineage: a new secret escapes no block
    target_name = models.CharField(_("what is blocked"), max_length=192)
    reason = models.CharField(_("reason"), max_length=500)
    is_cut = models.BooleanField(_("calls under way were cut"), default=False)
    blocked_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    blocked_at = models.DateTimeField(_("blocked"), default=timezone.now)
    lifted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(_("unblocked"), null=True)

    class Meta(TenantModel.Meta):
        db_table = "block"
        verbose_name = _("block")
        verbose_name_plural = _("blocks")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "kind", "target_id"],
                condition=models.Q(lifted_at=None),
                name="block_standing_key",
            ),
        ]

    def __str__(self) -> str:
        return self.target_name


class Membership(TenantModel):
    """A person in an organization: their role, and the department they are narrowed to."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        User, models.PROTECT, related_name="memberships", verbose_name=_("person")
    )
    role = models.CharField(_("role"), max_length=16, choices=Role.choices)
    department = TenantForeignKey(
        Department, null=True, blank=True, related_name="+", verbose_name=_("only this department")
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "membership"
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_user_key"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"
