"""The form of a re-rating: which calls, and why."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution import calendar
from attribution.templatetags.tollkeeper import month_text
from budgets.reservations.corrections import Selection
from budgets.reservations.unpriced import MONTHS

GREENWICH = ZoneInfo("UTC")


class RerateForm(forms.Form):
    """Which calls to look at; a GET shows what would change, a POST needs a reason."""

    first = forms.ChoiceField(label=_("From month (UTC)"))
    last = forms.ChoiceField(label=_("To month (UTC)"))
    provider = forms.CharField(label=_("Provider"), required=False, max_length=64)
    model = forms.CharField(label=_("Model"), required=False, max_length=200)
    unpriced = forms.BooleanField(label=_("only calls without a cost"), required=False)
    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=200,
        help_text=_("It stands in the ledger beside every entry, and in the audit log."),
    )

    def __init__(self, data: Any, *, today: date, is_confirmed: bool) -> None:
        self._today, self._is_confirmed = today, is_confirmed
        super().__init__({**self._usual(), **data})
        for name in ("first", "last"):
            self.fields[name].choices = self._months()  # type: ignore[attr-defined]  # a ChoiceField

    def clean_reason(self) -> str:
        """Ask for a reason where something is booked."""
        reason = str(self.cleaned_data["reason"]).strip()
        if self._is_confirmed and not reason:
            raise forms.ValidationError(gettext("Say why: the ledger keeps it."))
        return reason

    def clean(self) -> dict[str, Any]:
        """Refuse months in the wrong order."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("first", "") > values.get("last", "9"):
            self.add_error("last", gettext("The last month lies before the first."))
        return values

    @property
    def selection(self) -> Selection:
        """Return the calls that were chosen."""
        values = self.cleaned_data
        start, _end = calendar.month_bounds(_month(values["first"]), GREENWICH)
        _start, end = calendar.month_bounds(_month(values["last"]), GREENWICH)
        return Selection(start, end, values["provider"], values["model"], values["unpriced"])

    @property
    def carried(self) -> list[Any]:
        """Return the choice as hidden fields, for the form that confirms it."""
        chosen = ("first", "last", "provider", "model", "unpriced")
        return [self[name].as_hidden() for name in chosen if self.data.get(name)]

    def _usual(self) -> dict[str, str]:
        month = f"{self._today:%Y-%m}"
        return {"first": month, "last": month}

    def _months(self) -> list[tuple[str, str]]:
        months = [calendar.add_months(self._today.replace(day=1), -n) for n in range(MONTHS)]
        return [(f"{month:%Y-%m}", month_text(month)) for month in months]


def _month(text: str) -> date:
    return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
