"""Budgets in the admin: how they stand, what limits them, and the buttons to change that."""

from collections.abc import Iterable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.admin import PER_PAGE, ScopedAdmin, ScopedInline, site
from budgets.limits import coverage, filters, history, raises, revisions, shown
from budgets.limits.forms import BudgetForm, LimitForm, ThresholdForm
from budgets.limits.models import Budget, Scope, Threshold

SHOWN = [shown.running, shown.limit_amount, shown.spent, shown.held, shown.uncertain]
SHOWN += [shown.remaining, shown.used, shown.planned, shown.waiting]
FIXED = [shown.covered, shown.counted, shown.cut]
MOST_CHOSEN = 200


class ThresholdInline(ScopedInline):
    """When people are told."""

    model = Threshold
    form = ThresholdForm
    verbose_name_plural = _("thresholds: people are told, once per period, for example at 80 %")
    fields = ["basis", "value", "unit", "hours", "quantile"]
    ordering = ["basis", "unit", "value"]

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        """Offer a first one to fill in when the budget is new."""
        return 0 if obj else 1


class StateFilter(admin.SimpleListFilter):
    """Running budgets unless others are asked for."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        """Offer the archive."""
        return [("archived", _("archived")), ("all", _("all"))]

    def choices(self, changelist: Any) -> Any:
        """Call the default by its name."""
        first, *others = super().choices(changelist)
        return [{**first, "display": _("running")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Budget]) -> QuerySet[Budget]:
        """Leave out what has ended, or show nothing else."""
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "archived")


class BudgetList(ChangeList):
    """A page of budgets with how each stands, and the sums of all of them, in a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, the standings and the names of what is covered."""
        super().get_results(request)
        served = cast("OrganizationRequest", request)
        budgets = cast("Iterable[Budget]", self.result_list)
        shown.attach(served, list(budgets))
        self.result_list = budgets
        self.totals = shown.totals(cast("QuerySet[Budget]", self.queryset))


@admin.register(Budget, site=site)
class BudgetAdmin(ScopedAdmin):
    """Who may spend how much how often."""

    is_policy = True
    narrowed_by = "scope_id"
    inlines = [ThresholdInline]
    list_display = ["name", shown.covered, shown.used, *SHOWN[1:6], "period", "enforcement"]
    list_filter = [StateFilter, "scope", "enforcement", "period", "rollover"]
    list_filter += [("owner", admin.RelatedOnlyFieldListFilter)]
    search_fields = ["name", "scope_value"]
    ordering = ["name"]
    actions = ["copy", "download", "archive"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Use the list that knows the standings."""
        return BudgetList

    def narrow(self, request: OrganizationRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the budgets of departments and cost centers this person may look at."""
        inside = Q(scope=Scope.DEPARTMENT, scope_id__in=access.departments(request).values("pk"))
        inside |= Q(scope=Scope.COST_CENTER, scope_id__in=access.cost_centers(request).values("pk"))
        return rows.filter(inside)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep what was archived as it is."""
        is_archived = obj is not None and obj.archived_at is not None
        return not is_archived and super().has_change_permission(request, obj)

    def has_download_permission(self, request: HttpRequest) -> bool:
        """Let hand out files whom the permission table lets."""
        return access.may(request, "GET", "budgets:plan-download")

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return a budget with how it stands."""
        budget = super().get_object(request, object_id, from_field)
        if budget is not None:
            shown.attach(cast("OrganizationRequest", request), [budget])
        return budget

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for what a new budget covers; show of an old one how it stands."""
        how_much = ["limit", "reason", "enforcement"]
        carried = ["rollover", ("rollover_cap", "rollover_cap_unit")]
        people = ["owner", "approver"]
        more = (_("At the limit"), {"fields": ["wait_ms", "is_clamped"], "classes": ["collapse"]})
        if obj is None:
            weeks = ["start_month", "week_start", ("pattern", "anchor"), "time_zone"]
            return [
                (None, {"fields": ["name", "covers", "covered_user"]}),
                (_("How much"), {"fields": how_much}),
                (_("How often"), {"fields": ["period", ("starts_on", "ends_on")]}),
                (_("Which people"), {"fields": people}),
                (_("Carried over"), {"fields": carried, "classes": ["collapse"]}),
                (_("Calendar and time zone"), {"fields": weeks, "classes": ["collapse"]}),
                (_("Counts only"), {"fields": [*filters.FIELDS], "classes": ["collapse"]}),
                more,
            ]
        kept = _(
            "What a budget covers and how it cuts time stays: its periods were counted by that. "
            "For another one archive it and add a new budget."
        )
        return [
            (None, {"fields": ["name"]}),
            (_("How it stands"), {"fields": SHOWN}),
            (_("How much"), {"fields": [*how_much[:1], "begins_on", *how_much[1:]]}),
            (_("Which people"), {"fields": people}),
            (_("Carried over"), {"fields": carried}),
            (_("What stays"), {"fields": FIXED, "description": kept}),
            more,
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep what a budget covers and how it cuts time."""
        return [*FIXED, *SHOWN] if obj else []

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  # Django's signature
        """Give the form what may be covered, or the limit of now."""
        form_class = LimitForm if obj else BudgetForm
        kwargs["form"] = form_class
        own = set(form_class.declared_fields)
        kwargs["fields"] = [f for f in kwargs.get("fields") or () if f not in own]
        form = super().get_form(request, obj, change, **kwargs)
        if obj is not None:
            return _bound(form, limit=revisions.limit_of(obj))
        return _bound(form, coverable=coverage.coverable(request))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Create or revise the budget by the verbs of the room."""
        at, by = timezone.now(), access.actor(request)
        values = form.cleaned_data
        if not change:
            revisions.create(obj, amount=values["limit"], at=at, by=by, reason=values["reason"])
            return
        revisions.change(obj, by=by)
        facts = {"at": at, "by": by, "reason": values["reason"], "effective_at": form.begins_at}
        asked = raises.set_limit(obj, values["limit"], **facts)
        if asked is not None:
            url = reverse("attribution:approval-show", args=[asked.pk])
            text = gettext("The limit stays as it is until a second person approves the raise.")
            link = format_html('{} <a href="{}">{}</a>', text, url, gettext("Show the request"))
            messages.warning(request, link)

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Write the thresholds; one that has been passed already tells people now."""
        super().save_related(request, form, formsets, change)
        revisions.relimit(form.instance)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Show every change in words: limits, thresholds, overrides, requests."""
        budget = self.get_object(request, object_id)
        if budget is None:
            return super().history_view(request, object_id, extra_context)
        paginator = self.get_paginator(request, history.entries(budget), PER_PAGE)
        page = paginator.get_page(request.GET.get(PAGE_VAR, 1))
        page.object_list = history.lines(page.object_list)
        own = {
            "action_list": page,
            "page_range": paginator.get_elided_page_range(page.number),
            "pagination_required": paginator.num_pages > 1,
        }
        return super().history_view(request, object_id, {**own, **(extra_context or {})})

    @admin.action(description=_("Copy with a percentage"), permissions=["change"])
    def copy(self, request: HttpRequest, queryset: QuerySet[Budget]) -> HttpResponse | None:
        """Ask by how much the limits of the chosen budgets change."""
        return _sent(request, queryset.filter(archived_at=None), "budgets:plan-copy")

    @admin.action(description=_("Download as a file to import"), permissions=["download"])
    def download(self, request: HttpRequest, queryset: QuerySet[Budget]) -> HttpResponse | None:
        """Hand out the chosen budgets."""
        return _sent(request, queryset.filter(archived_at=None), "budgets:plan-download")

    @admin.action(description=_("Archive: limit nothing any more"), permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Budget]) -> None:
        """Archive the chosen budgets."""
        chosen = list(queryset.filter(archived_at=None))
        for budget in chosen:
            revisions.archive(budget, at=timezone.now(), by=access.actor(request))
        done = len(chosen)
        text = ngettext("%d budget archived.", "%d budgets archived.", done) % done
        messages.success(request, text)


def _sent(request: HttpRequest, chosen: QuerySet[Budget], name: str) -> HttpResponse | None:
    """Send the person to a page with the chosen budgets."""
    ids = list(chosen.values_list("pk", flat=True)[: MOST_CHOSEN + 1])
    if len(ids) > MOST_CHOSEN:
        text = gettext("Choose at most %(most)s budgets; an import changes more at once.")
        messages.error(request, text % {"most": MOST_CHOSEN})
        return None
    query = urlencode([("budget", str(one)) for one in ids])
    return HttpResponseRedirect(f"{reverse(name)}?{query}")


def _bound(form: Any, **values: Any) -> Any:
    """Return the form class with arguments of ours already given."""

    class Bound(form):  # type: ignore[misc]  # the base is made by Django at run time
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **values, **kwargs)

    return Bound
