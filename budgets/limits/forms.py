"""The form of a budget: what it covers, how much, how often, and what happens at the limit."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django import forms
from django.contrib.admin.widgets import AdminDateWidget
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy.forms import PlainDecimalField, ScopedForm
from budgets.limits.models import Budget, Enforcement, PeriodKind, Scope

OFFERED_ENFORCEMENTS = (Enforcement.OBSERVE, Enforcement.WARN, Enforcement.BLOCK)


class LimitForm(ScopedForm):
    """What may change of a budget that exists: its name, its limit, what happens there."""

    limit = PlainDecimalField(
        label=_("limit (USD)"),
        max_digits=24,
        decimal_places=12,
        min_value=Decimal(0),
        help_text=_("For one period, for example 500. A change acts on the next call."),
    )
    reason = forms.CharField(
        label=_("reason"),
        max_length=256,
        required=False,
        help_text=_("Kept with this limit, for example: approved by the board on 3 May."),
    )

    def __init__(self, *args: Any, limit: Decimal | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["limit"].initial = limit
        enforcement = self.fields.get("enforcement")
        if isinstance(enforcement, forms.ChoiceField):
            kept = {*OFFERED_ENFORCEMENTS, self.instance.enforcement}
            enforcement.choices = [(e.value, e.label) for e in Enforcement if e in kept]
            enforcement.help_text = _(
                "Observe: only counted. Warn: people get an e-mail at each threshold. "
                "Block: a call that does not fit any more is refused, to the cent."
            )


class BudgetForm(LimitForm):
    """A new budget; what it covers and how it cuts time stay for ever."""

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
    starts_on = forms.DateField(label=_("first day"), required=False, widget=AdminDateWidget)
    ends_on = forms.DateField(
        label=_("day after the last"),
        required=False,
        widget=AdminDateWidget,
        help_text=_("Both days only for a custom period, for example 2026-03-01 to 2026-04-01."),
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
        """Resolve what is covered and the days of a custom period into the budget."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        self._cover(str(values.get("covers") or Scope.ORGANIZATION), values.get("covered_user", ""))
        if values.get("period") == PeriodKind.CUSTOM:
            self.instance.calendar = self._days(values.get("starts_on"), values.get("ends_on"))
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

    def _days(self, first: date | None, end: date | None) -> dict[str, str]:
        if first is None or end is None or first >= end:
            self.add_error("ends_on", gettext("A custom period needs a first day before its end."))
            return {}
        return {"starts_on": first.isoformat(), "ends_on": end.isoformat()}
