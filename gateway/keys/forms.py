"""The form of an API key."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy.forms import NamesField, ScopedForm
from attribution.tenancy.models import CostCenter


class KeyForm(ScopedForm):
    """What a key may do and where its calls are booked."""

    allowed_cost_centers = NamesField(
        label=_("allowed cost centers"),
        required=False,
        help_text=_("Codes with commas, for example RND, SALES. Empty: all."),
    )
    allowed_models = NamesField(
        label=_("allowed models"),
        required=False,
        help_text=_(
            "Names or patterns with commas, for example gpt-4o-mini, claude-*. Empty: all."
        ),
    )

    def clean_allowed_cost_centers(self) -> list[str]:
        """Refuse codes that nobody knows."""
        codes: list[str] = self.cleaned_data["allowed_cost_centers"]
        known = set(CostCenter.objects.filter(code__in=codes).values_list("code", flat=True))
        if unknown := [code for code in codes if code not in known]:
            raise ValidationError(
                gettext("There is no cost center %(code)s.") % {"code": unknown[0]}
            )
        return codes
