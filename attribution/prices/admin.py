"""Prices in the admin: the shared list to look at, the organization's own to keep."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from attribution.prices import overrides
from attribution.prices.forms import TOLERANCE, PriceForm, RatesForm
from attribution.prices.models import Price
from attribution.prices.overrides import OFFERED
from attribution.tenancy import access
from attribution.tenancy.admin import ScopedAdmin, site


class OwnerFilter(admin.SimpleListFilter):
    """Whose prices."""

    title = _("whose")
    parameter_name = "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Offer own prices and the list."""
        return [("own", _("our own")), ("list", _("shared list"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> QuerySet[Price]:
        """Return the prices asked for."""
        if self.value() is None:
            return queryset
        return queryset.filter(organization__isnull=self.value() == "list")


class TimeFilter(admin.SimpleListFilter):
    """Prices in force now unless others are asked for."""

    title = _("when")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Offer what comes and the history."""
        return [("coming", _("coming")), ("all", _("all"))]

    def choices(self, changelist: Any) -> Any:
        """Call the default by its name."""
        first, *others = super().choices(changelist)
        return [{**first, "display": _("in force now")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> QuerySet[Price]:
        """Return the prices of the time asked for."""
        now = timezone.now()
        if self.value() == "all":
            return queryset
        if self.value() == "coming":
            return queryset.filter(effective_from__gt=now)
        return queryset.filter(
            Q(effective_to=None) | Q(effective_to__gt=now), effective_from__lte=now
        )


@admin.register(Price, site=site)
class PriceAdmin(ScopedAdmin):
    """An approved price is never edited: changing it closes it and opens its successor."""

    list_display = ["model", "provider", "whose", "input_rate", "output_rate", "effective_from"]
    list_display += ["effective_to", "status"]
    list_filter = [OwnerFilter, TimeFilter, "status", ("provider", admin.AllValuesFieldListFilter)]
    search_fields = ["model", "provider"]
    ordering = ["provider", "model", "-effective_from"]
    actions = ["override", "close"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the shared list and the organization's own prices."""
        rows: QuerySet[Any] = Price.objects.visible().order_by(*self.ordering)
        return rows

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep the shared list and what has ended as they are."""
        is_own = obj is None or (obj.organization_id is not None and obj.effective_to is None)
        return is_own and super().has_change_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show base rates as fields where they can be filled in, all rates where they cannot."""
        rates = [
            _("USD per million tokens"),
            {
                "fields": [*OFFERED, "begins_at", "is_confirmed"],
                "description": _("Tiers, hours and service tiers stay as they are."),
            },
        ]
        which = (None, {"fields": ["provider", "model"]})
        if obj is None:
            return [which, rates]
        facts = ["whose", "rates", "match", "context_window", "effective_from", "effective_to"]
        shown = (_("This price"), {"fields": [*facts, "source", "status"]})
        return [which, rates, shown] if self.has_change_permission(request, obj) else [which, shown]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep everything but the base rates."""
        if obj is None:
            return []
        facts = ["whose", "rates", "match", "context_window", "effective_from", "effective_to"]
        return ["provider", "model", *facts, "source", "status"]

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  # Django's signature
        """Ask for a model only when the price is new."""
        kwargs["form"] = RatesForm if obj else PriceForm
        kwargs["fields"] = [] if obj else ["provider", "model"]
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Open an own price, or close one and open its successor."""
        at, by = form.cleaned_data["begins_at"], access.actor(request)
        if change:
            made = overrides.change(obj, form.base, at=at, by=by, cleared=form.cleared)
        else:
            names = (obj.provider, obj.model)
            made = overrides.create(*names, form.base, at=at, by=by, cleared=form.cleared)
        obj.pk = made.pk
        if at < timezone.now() - TOLERANCE:
            text = gettext("Calls since %(from)s keep their cost until they are re-rated.")
            messages.warning(request, text % {"from": f"{timezone.localtime(at):%Y-%m-%d %H:%M}"})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Fill in what a link gives; an instant is written as in ISO 8601."""
        initial = super().get_changeform_initial_data(request)
        begins = parse_datetime(str(initial.pop("begins_at", "")))
        return {**initial, "begins_at": begins} if begins else initial

    @admin.action(description=_("Set a price of our own"), permissions=["change"])
    def override(self, request: HttpRequest, queryset: QuerySet[Price]) -> Any:
        """Open the form of an own price, filled in from the chosen one."""
        chosen = queryset.first()
        if chosen is None or queryset.count() > 1:
            messages.error(request, gettext("Choose one price."))
            return None
        base = chosen.rates.get("base", {})
        known = {name: rate for name, rate in base.items() if name in OFFERED and rate}
        query = urlencode({"provider": chosen.provider, "model": chosen.model, **known})
        return HttpResponseRedirect(f"{reverse('admin:attribution_price_add')}?{query}")

    @admin.action(
        description=_("End our own price: the list applies again"), permissions=["change"]
    )
    def close(self, request: HttpRequest, queryset: QuerySet[Price]) -> None:
        """End the chosen own prices now."""
        for price in queryset.exclude(organization=None):
            try:
                overrides.close(price, at=timezone.now(), by=access.actor(request))
            except overrides.PriceNotOpenError:
                messages.error(request, gettext("%(price)s has ended.") % {"price": price})

    @admin.display(description=_("whose"))
    def whose(self, price: Price) -> Any:
        """Say whose price it is."""
        return _("our own") if price.organization_id else _("shared list")

    @admin.display(description=_("input"))
    def input_rate(self, price: Price) -> str:
        """Show the base rate of input."""
        return str(price.rates.get("base", {}).get("input") or "-")

    @admin.display(description=_("output"))
    def output_rate(self, price: Price) -> str:
        """Show the base rate of output."""
        return str(price.rates.get("base", {}).get("output") or "-")
