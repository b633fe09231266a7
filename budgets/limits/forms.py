"""The form of a budget: what it covers, how much, how often, and what happens at the limit."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution import calendar
from attribution.approvals import decisions
from attribution.isolation.transaction import required
from attribution.tenancy.forms import PlainDecimalField, ScopedForm
from attribution.tenancy.models import Membership, Organization, User
from attribution.tenancy.roles import MANAGER, OFFICE
from budgets.limits import filters, raises
from budgets.limits.coverage import FILTERS
from budgets.limits.filters import FilterError
from budgets.limits.models import Budget, PeriodKind, Scope, Threshold

WHERE = {
    "models": _("One per line, as programs ask for them or as the provider calls them."),
    "providers": _("One per line, for example openai."),
    "features": _("One per line, as programs send them in X-Feature."),
    "environments": _("One per line, as programs send them in X-Environment."),
}


class DayInput(forms.DateInput):
    """A day as browsers ask for it."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class LinesField(forms.CharField):
    """A list of exact texts, one per line."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 40})

    def clean(self, value: Any) -> Any:
        """Read the lines."""
        lines = [line.strip() for line in str(super().clean(value)).splitlines()]
        return [line for line in lines if line]


class ThresholdForm(ScopedForm):
    """A threshold; its numbers without the zeros that storage adds."""

    class Meta:
        model = Threshold
        fields = ["basis", "value", "unit", "hours", "quantile"]
        field_classes = {"value": PlainDecimalField}


class LimitForm(ScopedForm):
    """What may change of a budget that exists: its name, its limit, what happens there."""

    limit = PlainDecimalField(
        label=_("limit (USD)"),
        max_digits=24,
        decimal_places=12,
        min_value=Decimal(0),
        help_text=_("For one period, for example 500. A change acts on the next call."),
    )
    begins_on = forms.DateField(
        label=_("new limit acts from"),
        required=False,
        widget=DayInput,
        help_text=_("Empty: at once. A day to come plans it; it begins at midnight of that day."),
    )
    reason = forms.CharField(
        label=_("reason"),
        max_length=256,
        required=False,
        help_text=_("Kept with this limit, for example: approved by the board on 3 May."),
    )

    class Meta:
        field_classes = {"rollover_cap": PlainDecimalField}

    def __init__(self, *args: Any, limit: Decimal | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit = limit
        self.fields["limit"].initial = limit
        if enforcement := self.fields.get("enforcement"):
            enforcement.help_text = _(
                "Observe: only counted, with what would have been refused. Warn: people get an "
                "e-mail at each threshold. Block: a call that does not fit any more is refused, to "
                "the cent. Elastic: softer, a long answer is held part by part and cut when the "
                "money ends; it can go over by one part of each open call."
            )
        if approver := self.fields.get("approver"):
            approver.help_text = _(
                "Decides about raises that need a second person, besides owners and finance."
            )
            if isinstance(approver, forms.ModelChoiceField):
                approver.queryset = _deciders()

    @property
    def begins_at(self) -> datetime | None:
        """Return when the new limit begins to act; None: at once."""
        day: date | None = self.cleaned_data.get("begins_on")
        if day is None:
            return None
        zone = self.instance.time_zone or Organization.objects.get(pk=required()).time_zone
        begins = calendar.day_start(day, ZoneInfo(zone))
        return begins if begins > timezone.now() else None

    def clean(self) -> dict[str, Any]:
        """Refuse a second raise while one waits, and a cap of nothing that is carried."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        limit, budget = values.get("limit"), self.instance
        if budget.pk and limit is not None and limit != self._limit:
            waits = any(one.kind == raises.LIMIT for one in decisions.waiting_for(budget.pk))
            if waits and raises.needs_approval(budget, limit, at=timezone.now()):
                text = gettext("A raise of this budget waits for a second person already.")
                self.add_error("limit", text)
        return values


class BudgetForm(LimitForm):
    """A new budget; what it covers and how it cuts time stay for ever."""

    begins_on = None  # type: ignore[assignment]  # Django takes a field away by this
    covers = forms.ChoiceField(
        label=_("covers"),
        help_text=_("A department covers everything below it. Cannot be changed later."),
    )
    covered_user = forms.CharField(
        label=_("user"),
        max_length=128,
        required=False,
        help_text=_("Only for “one user”: as programs send it in X-User-ID, for example ana."),
    )
    starts_on = forms.DateField(label=_("first day"), required=False, widget=DayInput)
    ends_on = forms.DateField(
        label=_("day after the last"),
        required=False,
        widget=DayInput,
        help_text=_("Both days only for a custom period, for example 2026-03-01 to 2026-04-01."),
    )
    start_month = forms.TypedChoiceField(
        label=_("years and quarters begin in"),
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", _("January, fiscal years when the organization's do")), *MONTHS.items()],
    )
    week_start = forms.TypedChoiceField(
        label=_("weeks begin on"),
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", WEEKDAYS[0]), *((at, WEEKDAYS[at]) for at in range(1, 7))],
    )
    pattern = forms.ChoiceField(
        label=_("fiscal periods of weeks"),
        required=False,
        choices=[("", _("no, whole fiscal years")), *((one, one) for one in calendar.WEEKS)],
        help_text=_("Only for a fiscal period: weeks of the three periods of each quarter."),
    )
    anchor = forms.DateField(
        label=_("first day of a fiscal year of weeks"),
        required=False,
        widget=DayInput,
        help_text=_("For example Monday 2026-01-05. A 53rd week joins the last period."),
    )
    models, providers, features, environments = (
        LinesField(label=FILTERS[name], required=False, help_text=WHERE[name])
        for name in filters.FIELDS
    )

    def __init__(self, *args: Any, coverable: Any = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        covers = self.fields["covers"]
        if isinstance(covers, forms.ChoiceField):
            covers.choices = coverable

    def clean_time_zone(self) -> str:
        """Accept names of the IANA list only, or nothing for the organization's."""
        zone = str(self.cleaned_data.get("time_zone") or "")
        if zone and zone not in available_timezones():
            raise ValidationError(gettext("Write it as in Europe/Paris or Asia/Shanghai."))
        return zone

    def clean(self) -> dict[str, Any]:
        """Resolve what is covered, counted and how time is cut into the budget."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        self._cover(str(values.get("covers") or Scope.ORGANIZATION), values.get("covered_user", ""))
        self.instance.calendar = self._calendar(values)
        given = {name: values.get(name) for name in filters.FIELDS if values.get(name)}
        for name, texts in given.items():
            try:
                filters.checked({name: texts})
            except FilterError:
                told = {"most": filters.MOST, "longest": filters.LONGEST}
                text = gettext("At most %(most)s lines of %(longest)s characters each.")
                self.add_error(name, text % told)
        self.instance.filters = given
        return values

    def _cover(self, covers: str, user: str) -> None:
        if covers == Scope.USER and not user:
            self.add_error("covered_user", gettext("Name the user that this budget covers."))
            covers = Scope.ORGANIZATION
        scope, _sep, scope_id = covers.partition(":")
        budget: Budget = self.instance
        budget.scope = scope
        budget.scope_id = UUID(scope_id) if scope_id else None
        budget.scope_value = user if scope == Scope.USER else ""

    def _calendar(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what the period needs to know, and nothing else."""
        period = values.get("period")
        if period == PeriodKind.CUSTOM:
            return self._days(values.get("starts_on"), values.get("ends_on"))
        if period == PeriodKind.FISCAL and values.get("pattern"):
            return self._weeks(values["pattern"], values.get("anchor"))
        wanted = "week_start" if period == PeriodKind.WEEK else "start_month"
        found = values.get(wanted)
        return {wanted: found} if found is not None and period not in {"day", "month"} else {}

    def _weeks(self, pattern: str, anchor: date | None) -> dict[str, str]:
        if anchor is None:
            text = gettext("A calendar of weeks needs the first day of a fiscal year.")
            self.add_error("anchor", text)
            return {}
        return {"pattern": pattern, "anchor": anchor.isoformat()}

    def _days(self, first: date | None, end: date | None) -> dict[str, str]:
        if first is None or end is None or first >= end:
            self.add_error("ends_on", gettext("A custom period needs a first day before its end."))
            return {}
        return {"starts_on": first.isoformat(), "ends_on": end.isoformat()}


def _deciders() -> Any:
    """Return who may be named as an approver: owners, finance and managers."""
    able = Membership.objects.filter(role__in=[*OFFICE, MANAGER], is_active=True)
    return User.objects.filter(pk__in=able.values("user")).order_by("email")
