"""The forms of overrides: more for a while, and its end before its time."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy.forms import PlainDecimalField
from budgets.limits.models import Budget
from budgets.limits.overrides import Terms

LONGEST = timedelta(days=366)
MINUTE = "%Y-%m-%dT%H:%M"
LONGEST_REASON = 256


class MinuteField(forms.DateTimeField):
    """An instant to the minute, in the zone of the organization."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTE)
        super().__init__(widget=widget, input_formats=[MINUTE, f"{MINUTE}:%S"], **options)


class OverrideForm(forms.Form):
    """How much is added to which budget, from when to when, and why."""

    budget: "forms.ModelChoiceField[Budget]" = forms.ModelChoiceField(
        queryset=None, label=_("budget")
    )
    amount = PlainDecimalField(
        label=_("added to the limit (USD)"),
        max_digits=24,
        decimal_places=12,
        help_text=_("For example 250. The base limit and what was spent stay as they are."),
    )
    starts_at = MinuteField(label=_("from"), required=False, help_text=_("Empty: at once."))
    ends_at = MinuteField(
        label=_("until"),
        help_text=_("After this the old limit holds again, whatever was spent meanwhile."),
    )
    reason = forms.CharField(
        label=_("reason"),
        max_length=LONGEST_REASON,
        help_text=_("Kept in the history, for example: launch week, agreed with the board."),
    )

    def __init__(self, *args: Any, budgets: QuerySet[Budget], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["budget"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = budgets

    def clean_amount(self) -> Decimal:
        """Accept only what adds something."""
        amount = Decimal(self.cleaned_data["amount"])
        if amount <= 0:
            raise forms.ValidationError(gettext("Write how much is added: more than 0."))
        return amount

    def clean(self) -> dict[str, Any]:
        """Accept only an end that is to come and after the beginning, within a year."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        ends, now = values.get("ends_at"), timezone.now()
        starts = values.get("starts_at") or now
        if isinstance(ends, datetime):
            if ends <= max(starts, now):
                self.add_error("ends_at", gettext("The end is after the beginning, and to come."))
            elif ends - starts > LONGEST:
                text = gettext("For more than a year, change the limit of the budget itself.")
                self.add_error("ends_at", text)
        return values

    def terms(self, at: datetime) -> Terms:
        """Return what is asked for."""
        values = self.cleaned_data
        starts = max(values["starts_at"] or at, at)
        return Terms(values["amount"], starts, values["ends_at"], values["reason"])


class RevocationForm(forms.Form):
    """Why an override ends before its time."""

    reason = forms.CharField(label=_("reason"), max_length=LONGEST_REASON)
