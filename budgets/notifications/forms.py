"""The form with which a person chooses what they are told."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from attribution.tenancy.forms import ScopedForm
from budgets.notifications.models import Subscription

HOURS = [(hour, f"{hour:02d}:00") for hour in range(24)]


class SubscriptionForm(ScopedForm):
    """Which messages come by e-mail at once, and how often a summary does."""

    digest_hour = forms.TypedChoiceField(
        label=_("at the hour"),
        coerce=int,
        choices=HOURS,
        help_text=_("In the organization's time zone."),
    )

    class Meta:
        model = Subscription
        fields = ("mail", "digest", "digest_hour")
        widgets = {"mail": forms.RadioSelect, "digest": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("mail", "digest"):
            self.fields[name].choices = self.fields[name].choices  # type: ignore[attr-defined]  # without the empty one
