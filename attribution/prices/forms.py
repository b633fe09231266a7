"""The form of an organization's own price."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution import money
from attribution.prices import sanity
from attribution.prices.models import Price, PriceStatus
from attribution.prices.overrides import OFFERED
from attribution.prices.published import BEGINNING
from attribution.prices.rates import FEE_SCALE, FEES, RATE_SCALE, Rates
from attribution.prices.sanity import Doubt
from attribution.tenancy.forms import PlainDecimalField, ScopedForm

TOLERANCE = timedelta(minutes=5)
NAMES = {
    "input": _("input"),
    "output": _("output"),
    "cache_read": _("cache read"),
    "cache_write": _("cache write, 5 minutes"),
    "cache_write_1h": _("cache write, 1 hour"),
    "reasoning": _("reasoning"),
    "audio_input": _("audio input"),
    "audio_cache_read": _("audio cache read"),
    "audio_output": _("audio output"),
    "searches": _("one web search"),
    "requests": _("one call"),
}
HELP = {
    "input": _("For example 2.50."),
    "output": _("For example 10."),
    "cache_read": _("Empty: as input."),
    "cache_write": _("Empty: as input."),
    "cache_write_1h": _("Empty: as the write of 5 minutes."),
    "reasoning": _("Empty: as output."),
    "audio_input": _("Empty: as input."),
    "audio_output": _("Empty: as output."),
    "searches": _("USD for one search, not per million. Empty: calls that search have no cost."),
}


def _rate(name: str) -> PlainDecimalField:
    return PlainDecimalField(
        label=NAMES[name],
        help_text=HELP[name],
        required=name in {"input", "output"},
        min_value=Decimal(0),
        max_digits=18,
        decimal_places=FEE_SCALE if name in FEES else RATE_SCALE,
    )


class RatesForm(ScopedForm):
    """Base rates in USD per million tokens, and from when on they apply."""

    input = _rate("input")
    output = _rate("output")
    cache_read = _rate("cache_read")
    cache_write = _rate("cache_write")
    cache_write_1h = _rate("cache_write_1h")
    reasoning = _rate("reasoning")
    audio_input = _rate("audio_input")
    audio_output = _rate("audio_output")
    searches = _rate("searches")
    begins_at = forms.SplitDateTimeField(
        label=_("applies from"),
        widget=AdminSplitDateTime,
        required=False,
        help_text=_(
            "Empty: from now. In the past: calls since then keep their cost until re-rated."
        ),
    )
    is_confirmed = forms.BooleanField(
        label=_("the unit is right"), required=False, widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, rate in (self.instance.rates or {}).get("base", {}).items():
            if name in OFFERED and rate is not None:
                self.fields[name].initial = Decimal(rate)

    def clean_begins_at(self) -> datetime:
        """Return when the price begins; what is meant as now is now."""
        wanted: datetime | None = self.cleaned_data["begins_at"]
        now = timezone.now()
        if wanted is None or now - TOLERANCE <= wanted <= now:
            return now
        if wanted < BEGINNING:
            raise ValidationError(gettext("No call is that old."))
        return wanted

    def clean(self) -> dict[str, Any]:
        """Ask a second time about what looks like a slip of the unit."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        begins, opened = values.get("begins_at"), self.instance.effective_from
        if self.instance.pk and begins and begins <= opened:
            text = gettext("It begins after the price that it follows: %(from)s.")
            self.add_error("begins_at", text % {"from": f"{opened:%Y-%m-%d %H:%M} UTC"})
        doubts = sanity.doubts(self.base, self._before(values))
        if doubts and not values.get("is_confirmed"):
            self.fields["is_confirmed"].widget = forms.CheckboxInput()
            self.add_error("is_confirmed", told(doubts))
        return values

    @property
    def base(self) -> Rates:
        """Return the rates that were filled in."""
        filled = {name: self.cleaned_data.get(name) for name in OFFERED}
        return Rates({name: rate for name, rate in filled.items() if rate is not None})

    @property
    def cleared(self) -> list[str]:
        """Return the rates that were left empty: they fall back, whatever stood there before."""
        return [name for name in OFFERED if self.cleaned_data.get(name) is None]

    def _before(self, values: dict[str, Any]) -> Rates | None:
        """Return the rates that applied until now, ours before the list's."""
        rates = self.instance.rates if self.instance.pk else None
        if rates is None:
            at = values.get("begins_at") or timezone.now()
            known = Price.objects.visible().open_at(at).filter(status=PriceStatus.APPROVED)
            names = {name: values.get(name, "") for name in ("provider", "model")}
            found = known.filter(**names).order_by("organization").first()
            rates = found.rates if found else None
        return Rates.from_dict(rates["base"]) if rates else None


class PriceForm(RatesForm):
    """A price of one's own for a model."""

    def clean(self) -> dict[str, Any]:
        """Refuse a second price for the same model at the same time."""
        values = super().clean()
        own = Price.objects.own().filter(
            provider=values.get("provider", ""),
            model=values.get("model", ""),
            status=PriceStatus.APPROVED,
        )
        begins = values.get("begins_at") or timezone.now()
        if own.filter(effective_to=None).exists():
            self.add_error("model", gettext("You have a price for this model: change that one."))
        elif own.filter(effective_to__gt=begins).exists():
            self.add_error("begins_at", gettext("You had a price for this model then."))
        return values


def told(doubts: list[Doubt]) -> SafeString:
    """Say what each doubted rate means in every unit."""
    line = gettext(
        "%(name)s: %(token)s USD per token, %(thousand)s per 1,000, %(million)s per million"
    )
    leap = gettext("%(line)s (before: %(before)s)")
    lines = []
    for doubt in doubts:
        text = line % {
            "name": NAMES[doubt.token_class],
            "token": money.text(doubt.per_token),
            "thousand": money.text(doubt.per_thousand),
            "million": money.text(doubt.per_million),
        }
        before = "" if doubt.before is None else money.text(doubt.before)
        lines.append((leap % {"line": text, "before": before} if before else text,))
    return format_html_join("", "{}. ", lines)
