"""Calls in the admin, to look at: by day, by dimension, by id, with their totals."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from attribution import calendar
from attribution.templatetags.tollkeeper import money
from attribution.tenancy.admin import ReadOnlyAdmin, site
from attribution.tenancy.models import CostCenter
from attribution.usage.models import CallState, UsageRecord, floor_id

SPANS = {"7": 7, "30": 30, "90": 90}


class DaysFilter(admin.SimpleListFilter):
    """Which days; bounds on the id let the database skip whole months."""

    title = _("days")
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Offer spans that end now."""
        return [("7", _("last 7 days")), ("30", _("last 30 days")), ("90", _("last 90 days"))]

    def choices(self, changelist: Any) -> Any:
        """Call the default by its name."""
        first, *others = super().choices(changelist)
        return [{**first, "display": _("today")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of those days; of one row asked for by its id, whatever its day."""
        if _asked_id(request) is not None:
            return queryset
        return queryset.filter(id__gte=floor_id(begins(self.value() or "")))


class CostCenterFilter(admin.SimpleListFilter):
    """Which cost center; calls keep its id, not a relation."""

    title = _("cost center")
    parameter_name = "cost_center"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Offer all of them, and calls that are not attributed."""
        centers = CostCenter.objects.order_by("code").values_list("pk", "code")
        return [*((str(pk), code) for pk, code in centers), ("none", _("not attributed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of one cost center."""
        if self.value() is None:
            return queryset
        if self.value() == "none":
            return queryset.filter(cost_center_id=None)
        return queryset.filter(cost_center_id=self.value())


class TotalsList(ChangeList):
    """A page of rows with the sum of all rows that match."""

    amount = "cost"

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and sum what the filters leave."""
        super().get_results(request)
        sums = self.queryset.order_by().aggregate(total=Sum(self.amount), rows=Count("pk"))
        vars(self)["totals"] = [
            (_("rows"), sums["rows"]),
            (_("USD"), money(sums["total"]) if sums["total"] is not None else money(None)),
        ]


class FactAdmin(ReadOnlyAdmin):
    """Rows of the books: never changed here, found by day and id, summed under the list."""

    change_list_template = "attribution/usage/admin_list.html"

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Find one row by its id; text is searched through the filters' dimensions only."""
        if not search_term:
            return queryset, False
        asked = _asked_id(request)
        return (queryset.filter(id=asked) if asked else self.matching(queryset, search_term)), False

    def matching(self, queryset: Any, term: str) -> Any:
        """Return the rows that a text finds."""
        return queryset.none()


@admin.register(UsageRecord, site=site)
class UsageRecordAdmin(FactAdmin):
    """One row per metered call."""

    narrowed_by = "department_id"
    list_display = [
        "occurred_at",
        "user_id",
        "shown_model",
        "state",
        "shown_cost",
        "feature",
    ]
    list_filter = [DaysFilter, CostCenterFilter, "state", "is_estimated"]
    search_fields = ["id"]
    search_help_text = _("A call's id (X-Request-ID), or a user, model or feature as written.")
    ordering = ["-id"]
    list_display_links = ["occurred_at"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show every column that people can read."""
        hidden = {"prompt_fp", "worker_id", "organization"}
        return [f.name for f in UsageRecord._meta.concrete_fields if f.name not in hidden]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Use the list with totals."""
        return TotalsList

    def matching(self, queryset: Any, term: str) -> Any:
        """Return the calls of a user, model or feature."""
        return (
            queryset.filter(user_id=term)
            | queryset.filter(model_billed=term)
            | queryset.filter(model_requested=term)
            | queryset.filter(feature=term)
        )

    @admin.display(description=_("model"))
    def shown_model(self, call: UsageRecord) -> str:
        """Show the billed model, or the one asked for."""
        return call.model_billed or call.model_requested

    @admin.display(description=_("cost"), ordering="cost")
    def shown_cost(self, call: UsageRecord) -> Any:
        """Show the cost; a call without a price is said to have none."""
        has_none = call.cost is None and call.state == CallState.SETTLED
        return _("unpriced") if has_none else money(call.cost) if call.cost is not None else "-"


def begins(days: str) -> datetime:
    """Return where a span of days that ends now begins; without one, today's first instant."""
    now = timezone.localtime()
    day: date = now.date() - timedelta(days=SPANS.get(days, 1) - 1)
    zone = timezone.get_current_timezone()
    return calendar.day_start(day, zone)


def _asked_id(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.GET.get("q", "").strip())
    except ValueError:
        return None
