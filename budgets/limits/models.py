"""Budgets, their limit versions, thresholds and periods."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution.isolation.scoped import TenantForeignKey, TenantModel
from attribution.tenancy.models import User


class Scope(models.TextChoices):
    """What a budget covers."""

    ORGANIZATION = "organization", _("organization")
    DEPARTMENT = "department", _("department")
    COST_CENTER = "cost_center", _("cost center")
    API_KEY = "api_key", _("API key")
    USER = "user", _("user")


class PeriodKind(models.TextChoices):
    """How often a budget starts anew."""

    DAY = "day", _("day")
    WEEK = "week", _("week")
    MONTH = "month", _("month")
    QUARTER = "quarter", _("quarter")
    YEAR = "year", _("year")
    CUSTOM = "custom", _("custom")
    FISCAL = "fiscal", _("fiscal period")


class Enforcement(models.TextChoices):
    """What a budget does when it is used up."""

    OBSERVE = "observe", _("observe")
    WARN = "warn", _("warn")
    BLOCK = "block", _("block")
    ELASTIC = "elastic", _("elastic")


class Rollover(models.TextChoices):
    """What a period takes over from the one before it, within the fiscal year."""

    NONE = "none", _("nothing")
    CARRY_UNUSED = "carry_unused", _("what was left")
    CARRY_NET = "carry_net", _("what was left or overspent")


class CapUnit(models.TextChoices):
    """What the most that is carried over is measured in."""

    # xgettext:no-python-format  # noqa: ERA001  read by xgettext
    PERCENT = "percent", _("% of the limit")
    USD = "usd", _("USD")


class Budget(TenantModel):
    """Who may spend how much how often.

    `scope_id` names the department, cost center or API key, `scope_value` the user. `calendar`
    holds what custom and fiscal periods need: start, end, start month, pattern, anchor.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=128)
    scope = models.CharField(_("covers"), max_length=16, choices=Scope.choices)
    scope_id = models.UUIDField(_("covered object"), null=True, blank=True)
    scope_value = models.CharField(_("covered user"), max_length=128, blank=True, default="")
    filters = models.JSONField(_("only for"), default=dict, blank=True)
    period = models.CharField(
        _("period"), max_length=16, choices=PeriodKind.choices, default=PeriodKind.MONTH
    )
    calendar = models.JSONField(default=dict, blank=True)
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        default="",
        help_text=_("Empty: the organization's."),
    )
    enforcement = models.CharField(
        _("enforcement"), max_length=16, choices=Enforcement.choices, default=Enforcement.WARN
    )
    wait_ms = models.PositiveIntegerField(
        _("wait for open calls (ms)"),
        default=2000,
        help_text=_("How long a call waits when only open calls stand in its way."),
    )
    is_clamped = models.BooleanField(
        _("shorten answers to what is left"),
        default=False,
        help_text=_("Blocking budgets: a call gets a shorter answer before it is refused."),
    )
    owner = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("owner")
    )
    approver = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("approver")
    )
    rollover = models.CharField(
        _("carried into the next period"),
        max_length=16,
        choices=Rollover.choices,
        default=Rollover.NONE,
        help_text=_("Carried money expires at the end of the fiscal year."),
    )
    rollover_cap = models.DecimalField(
        _("carried at most"),
        max_digits=24,
        decimal_places=12,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Empty: all that was left."),
    )
    rollover_cap_unit = models.CharField(
        _("measured in"), max_length=16, choices=CapUnit.choices, default=CapUnit.PERCENT
    )
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        db_table = "budget"
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=Q(archived_at=None),
                name="budget_name_key",
            ),
            models.CheckConstraint(
                name="budget_scope_named",
                condition=(
                    Q(scope="organization", scope_id=None, scope_value="")
                    | Q(scope="user", scope_id=None) & ~Q(scope_value="")
                    | Q(
                        scope__in=["department", "cost_center", "api_key"],
                        scope_id__isnull=False,
                        scope_value="",
                    )
                ),
            ),
            models.CheckConstraint(
                name="budget_rollover_cap_not_negative",
                condition=Q(rollover_cap=None) | Q(rollover_cap__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_hard(self) -> bool:
        """Say whether calls are refused when the money is gone."""
        return self.enforcement in {Enforcement.BLOCK, Enforcement.ELASTIC}


class Basis(models.TextChoices):
    """What a threshold looks at."""

    ACTUAL = "actual", _("actual spend")
    FORECAST = "forecast", _("forecast")
    BURN_RATE = "burn_rate", _("burn rate")


class Unit(models.TextChoices):
    """What a threshold is measured in."""

    # xgettext:no-python-format  # noqa: ERA001  read by xgettext
    PERCENT = "percent", _("% of the limit")
    USD = "usd", _("USD")
    FACTOR = "factor", _("times the even pace")


class Quantile(models.TextChoices):
    """Which forecast a threshold on forecasts looks at."""

    P10 = "p10", _("low (p10)")
    P50 = "p50", _("expected (p50)")
    P90 = "p90", _("high (p90)")


class Threshold(TenantModel):
    """A point of a budget at which people are told, once per period."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    budget = TenantForeignKey(Budget, models.CASCADE, related_name="thresholds")
    basis = models.CharField(
        _("looks at"), max_length=16, choices=Basis.choices, default=Basis.ACTUAL
    )
    unit = models.CharField(_("unit"), max_length=16, choices=Unit.choices, default=Unit.PERCENT)
    value = models.DecimalField(
        _("value"), max_digits=24, decimal_places=12, validators=[MinValueValidator(0)]
    )
    quantile = models.CharField(
        _("which forecast"), max_length=8, choices=Quantile.choices, default=Quantile.P50
    )
    hours = models.PositiveSmallIntegerField(
        _("over hours"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(744)],
        help_text=_("Only for a burn rate: 3 times the even pace over 24 hours."),
    )

    class Meta(TenantModel.Meta):
        db_table = "threshold"
        verbose_name = _("threshold")
        verbose_name_plural = _("thresholds")
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "organization",
                    *("budget", "basis", "unit", "value", "quantile", "hours"),
                ],
                name="threshold_key",
                nulls_distinct=False,
            ),
            models.CheckConstraint(name="threshold_hours_positive", condition=~Q(hours=0)),
            models.CheckConstraint(
                name="threshold_fits_its_basis",
                condition=(
                    Q(basis="actual", unit__in=["percent", "usd"], quantile="p50", hours=None)
                    | Q(basis="forecast", unit__in=["percent", "usd"], hours=None)
                    | Q(basis="burn_rate", unit="factor", quantile="p50", hours__isnull=False)
                ),
                violation_error_message=_(
                    "A burn rate is a factor over hours; the others are percent of the limit or "
                    "USD, without hours; low and high are only of forecasts."
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.value.normalize():f} {self.get_unit_display()}"


class BudgetPeriod(TenantModel):
    """One window of a budget; its counters move in the transaction of the calls that move them.

    There must be no check that spent + held stay under the limit: real usage is always recorded
    and a limit may be lowered under what is spent. The limit is enforced at admission only.

    `limit_amount` is `base_amount` (the limit version in force) + `carried`, at least nothing,
    + `raised` (running overrides). It holds until `limit_until`: after that instant whoever admits
    works it out anew first, so an override ends on time whatever else stands still.
    """

    id = models.BigAutoField(primary_key=True)
    budget = TenantForeignKey(Budget, related_name="periods")
    enforcement = models.CharField(max_length=16, choices=Enforcement.choices)
    hard = models.GeneratedField(
        expression=Q(enforcement__in=["block", "elastic"]),  # type: ignore[arg-type]  # Django takes it
        output_field=models.BooleanField(),
        db_persist=True,
    )
    starts_at = models.DateTimeField(_("starts"))
    ends_at = models.DateTimeField(_("ends"))
    limit_amount = models.DecimalField(_("limit"), max_digits=24, decimal_places=12)
    base_amount = models.DecimalField(max_digits=24, decimal_places=12)
    carried = models.DecimalField(_("carried over"), max_digits=24, decimal_places=12, default=0)
    raised = models.DecimalField(_("raised by"), max_digits=24, decimal_places=12, default=0)
    limit_until = models.DateTimeField(null=True)
    lowered_at = models.DateTimeField(null=True)  # when its limit last fell
    carry = models.JSONField(null=True)  # the budget's rollover and cap, kept when it ends; or none
    year_starts_at = models.DateTimeField(null=True)  # nothing is carried over from before
    arm = models.IntegerField(default=1)
    spent = models.DecimalField(_("spent"), max_digits=24, decimal_places=12, default=0)
    held = models.DecimalField(_("held"), max_digits=24, decimal_places=12, default=0)
    uncertain = models.DecimalField(_("uncertain"), max_digits=24, decimal_places=12, default=0)
    filters = models.JSONField(null=True)  # the budget's; None without any: then every call counts
    sealed_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        db_table = "budget_period"
        verbose_name = _("budget period")
        verbose_name_plural = _("budget periods")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "budget", "starts_at"], name="budget_period_key"
            ),
            models.CheckConstraint(
                condition=Q(starts_at__lt=F("ends_at")), name="budget_period_has_length"
            ),
            models.CheckConstraint(
                condition=Q(held__gte=0) & Q(uncertain__gte=0),
                name="budget_period_counters_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d}"
