"""The form of an organization's own price."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.prices.models import Price, PriceStatus
from attribution.prices.rates import RATE_SCALE, Rates
from attribution.tenancy.forms import PlainDecimalField, ScopedForm

OFFERED = ("input", "output", "cache_read", "cache_write", "reasoning")
TOLERANCE = timedelta(minutes=5)


def _rate(label: Any, help_text: Any = "", *, is_required: bool = False) -> PlainDecimalField:
    return PlainDecimalField(
        label=label,
        help_text=help_text,
        required=is_required,
        min_value=Decimal(0),
        max_digits=18,
        decimal_places=RATE_SCALE,
    )


class RatesForm(ScopedForm):
    """Base rates in USD per million tokens, and from when on they apply."""

    input = _rate(_("input"), _("For example 2.50."), is_required=True)
    output = _rate(_("output"), _("For example 10."), is_required=True)
    cache_read = _rate(_("cache read"), _("Empty: as input."))
    cache_write = _rate(_("cache write"), _("Empty: as input."))
    reasoning = _rate(_("reasoning"), _("Empty: as output."))
    begins_at = forms.SplitDateTimeField(
        label=_("applies from"),
        widget=AdminSplitDateTime,
        required=False,
        help_text=_("Empty: from now. Calls that were priced before stay as they are."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, rate in (self.instance.rates or {}).get("base", {}).items():
            if name in OFFERED and rate is not None:
                self.fields[name].initial = Decimal(rate)

    def clean_begins_at(self) -> Any:
        """Return an instant that is not in the past: a price never reaches back."""
        wanted, now = self.cleaned_data["begins_at"], timezone.now()
        if wanted is not None and wanted < now - TOLERANCE:
            raise ValidationError(gettext("A price cannot begin in the past."))
        return max(wanted, now) if wanted else now

    @property
    def base(self) -> Rates:
        """Return the rates that were filled in."""
        filled = {name: self.cleaned_data.get(name) for name in OFFERED}
        return Rates({name: rate for name, rate in filled.items() if rate is not None})


class PriceForm(RatesForm):
    """A price of one's own for a model."""

    def clean(self) -> dict[str, Any]:
        """Refuse a second price for the same model."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        own = Price.objects.own().filter(
            provider=values.get("provider", ""),
            model=values.get("model", ""),
            status=PriceStatus.APPROVED,
            effective_to=None,
        )
        if own.exists():
            self.add_error("model", gettext("You have a price for this model: change that one."))
        return values
