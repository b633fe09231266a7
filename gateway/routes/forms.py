"""The form of a downgrade rule."""

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy.forms import NamesField, PlainDecimalField, ScopedForm
from attribution.tenancy.models import CostCenter
from gateway.routes.matching import Matcher
from gateway.routes.models import Route


class RuleForm(ScopedForm):
    """When which calls go to which model instead."""

    percent = PlainDecimalField(
        label=_("from (percent of the limit)"),
        min_value=Decimal("0.01"),
        max_digits=7,
        decimal_places=2,
        initial=80,
        help_text=_("Spent and uncertain amounts of the running period count."),
    )
    asked_models = NamesField(
        label=_("models asked for"),
        help_text=_("Names or patterns with commas, for example gpt-4o, claude-opus-*."),
    )
    cost_centers = NamesField(
        label=_("cost centers"),
        required=False,
        help_text=_(
            "Codes with commas, for example RND, SALES. Empty: all that the budget covers."
        ),
    )
    features = NamesField(
        label=_("features"),
        required=False,
        help_text=_("With commas, as programs send them in X-Feature. Empty: all."),
    )

    def clean_cost_centers(self) -> list[str]:
        """Refuse codes that nobody knows."""
        codes: list[str] = self.cleaned_data["cost_centers"]
        known = set(CostCenter.objects.filter(code__in=codes).values_list("code", flat=True))
        if unknown := [code for code in codes if code not in known]:
            raise ValidationError(
                gettext("There is no cost center %(code)s.") % {"code": unknown[0]}
            )
        return codes

    def clean_to_model(self) -> str:
        """Refuse a model that no route leads to: calls would go nowhere cheaper."""
        name: str = self.cleaned_data["to_model"]
        if Matcher(Route.objects.filter(is_active=True)).find(name) is None:
            raise ValidationError(gettext("There is no route for %(model)s.") % {"model": name})
        return name
