"""Budgets in the admin: how they stand, what limits them, and the buttons to change that."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from attribution.templatetags.tollkeeper import day_text, money, percent
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest
from attribution.tenancy.admin import ScopedAdmin, ScopedInline, site
from budgets.limits import revisions, standing
from budgets.limits.forms import BudgetForm, LimitForm
from budgets.limits.models import Budget, Scope, Threshold

Source = Callable[[OrganizationRequest], Iterable[tuple[UUID, str]]]
SHOWN = ["running", "limit_amount", "spent", "held", "uncertain", "remaining", "used"]

# What a budget may cover, by scope; packages above add theirs.
SOURCES: dict[str, Source] = {
    Scope.DEPARTMENT: lambda request: [
        (row.pk, str(row)) for row in access.departments(request).order_by("name")
    ],
    Scope.COST_CENTER: lambda request: [
        (row.pk, str(row)) for row in access.cost_centers(request).order_by("code")
    ],
}


class ThresholdInline(ScopedInline):
    """When people are told."""

    model = Threshold
    verbose_name_plural = _("thresholds: people are told, once per period, for example at 80 %")
    fields = ["value", "unit"]
    ordering = ["unit", "value"]

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
    """A page of budgets with how each stands, in a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, the standings and the names of what is covered."""
        super().get_results(request)
        served = cast("OrganizationRequest", request)
        budgets = cast("Iterable[Budget]", self.result_list)
        attach(served, list(budgets))
        self.result_list = budgets


@admin.register(Budget, site=site)
class BudgetAdmin(ScopedAdmin):
    """Who may spend how much how often."""

    is_policy = True
    narrowed_by = "scope_id"
    inlines = [ThresholdInline]
    list_display = ["name", "covered", "used", *SHOWN[1:-1], "period", "enforcement"]
    list_filter = [StateFilter, "scope", "enforcement", "period"]
    search_fields = ["name", "scope_value"]
    ordering = ["name"]
    actions = ["archive"]

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

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return a budget with how it stands."""
        budget = super().get_object(request, object_id, from_field)
        if budget is not None:
            attach(cast("OrganizationRequest", request), [budget])
        return budget

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for what a new budget covers; show of an old one how it stands."""
        money_fields = {"fields": ["limit", "reason", "enforcement"]}
        more = {"fields": ["owner", "wait_ms", "is_clamped"], "classes": ["collapse"]}
        if obj is None:
            when = {"fields": ["period", ("starts_on", "ends_on"), "time_zone"]}
            return [
                (None, {"fields": ["name", "covers", "covered_user"]}),
                (_("How much"), money_fields),
                (_("How often"), when),
                (_("More"), more),
            ]
        return [
            (None, {"fields": ["name", "covered", "period"]}),
            (_("How it stands"), {"fields": SHOWN}),
            (_("How much"), money_fields),
            (_("More"), more),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep what a budget covers and how it cuts time."""
        return ["covered", "period", *SHOWN] if obj else []

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  # Django's signature
        """Give the form what may be covered, or the limit of now."""
        kwargs["form"] = LimitForm if obj else BudgetForm
        own = {"limit", "reason", "covers", "covered_user", "starts_on", "ends_on"}
        kwargs["fields"] = [f for f in kwargs.get("fields") or () if f not in own]
        form = super().get_form(request, obj, change, **kwargs)
        if obj is not None:
            return _bound(form, limit=revisions.limit_of(obj))
        return _bound(form, coverable=coverable(request))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Create or revise the budget by the verbs of the room."""
        at, by = timezone.now(), access.actor(request)
        values = form.cleaned_data
        if change:
            revisions.change(obj, by=by)
            revisions.revise(obj, values["limit"], at=at, by=by, reason=values["reason"])
        else:
            revisions.create(obj, amount=values["limit"], at=at, by=by, reason=values["reason"])

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001  # Django calls it by position
        """Write the thresholds; one that has been passed already tells people now."""
        super().save_related(request, form, formsets, change)
        revisions.relimit(form.instance)

    @admin.action(description=_("Archive: limit nothing any more"), permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Budget]) -> None:
        """Archive the chosen budgets."""
        chosen = list(queryset.filter(archived_at=None))
        for budget in chosen:
            revisions.archive(budget, at=timezone.now(), by=access.actor(request))
        done = len(chosen)
        text = ngettext("%d budget archived.", "%d budgets archived.", done) % done
        messages.success(request, text)

    @admin.display(description=_("covers"))
    def covered(self, budget: Budget) -> str:
        """Name what the budget covers."""
        name: str = vars(budget).get("covered_name") or budget.scope_value
        if budget.scope == Scope.COST_CENTER and name:
            return name
        label = budget.get_scope_display()
        return f"{label}: {name}" if name else label

    @admin.display(description=_("running period"))
    def running(self, budget: Budget) -> str:
        """Show the bounds of the period that runs now."""
        now = _standing(budget)
        if now is None:
            return "-"
        starts, ends = (timezone.localtime(at).date() for at in (now.starts_at, now.ends_at))
        return f"{day_text(starts)} → {day_text(ends)}"

    @admin.display(description=_("limit"))
    def limit_amount(self, budget: Budget) -> str:
        """Show the limit of the running period."""
        return _amount(budget, "limit")

    @admin.display(description=_("spent"))
    def spent(self, budget: Budget) -> str:
        """Show what settled calls cost."""
        return _amount(budget, "spent")

    @admin.display(description=_("held"))
    def held(self, budget: Budget) -> str:
        """Show what open calls keep."""
        return _amount(budget, "held")

    @admin.display(description=_("uncertain"))
    def uncertain(self, budget: Budget) -> str:
        """Show what is charged until the truth arrives."""
        return _amount(budget, "uncertain")

    @admin.display(description=_("remaining"))
    def remaining(self, budget: Budget) -> str:
        """Show what calls may still hold."""
        return _amount(budget, "remaining")

    @admin.display(description=_("used"))
    def used(self, budget: Budget) -> str:
        """Show how much of the limit is charged."""
        now = _standing(budget)
        return str(percent(now.utilisation)) if now else "-"


def coverable(request: OrganizationRequest) -> list[tuple[Any, Any]]:
    """Return what a new budget may cover, in groups."""
    groups = [
        (
            Scope(scope).label,
            [(f"{scope}:{row_id}", name) for row_id, name in source(request)],
        )
        for scope, source in SOURCES.items()
    ]
    whole = (Scope.ORGANIZATION.value, _("the whole organization"))
    return [whole, *groups, (Scope.USER.value, _("one user"))]


def attach(request: OrganizationRequest, budgets: list[Budget]) -> None:
    """Put on each budget how it stands and the name of what it covers."""
    found = standing.standings([budget.pk for budget in budgets], at=timezone.now())
    scopes = {budget.scope for budget in budgets}
    names = {
        row_id: name
        for scope, source in SOURCES.items()
        if scope in scopes
        for row_id, name in source(request)
    }
    for budget in budgets:
        vars(budget)["standing"] = found.get(budget.pk)
        vars(budget)["covered_name"] = names.get(budget.scope_id, "") if budget.scope_id else ""


def _standing(budget: Budget) -> standing.Standing | None:
    return cast("standing.Standing | None", vars(budget).get("standing"))


def _amount(budget: Budget, name: str) -> str:
    now = _standing(budget)
    amount: Decimal | None = getattr(now, name) if now else None
    return "-" if amount is None else money(amount)


def _bound(form: Any, **values: Any) -> Any:
    """Return the form class with arguments of ours already given."""

    class Bound(form):  # type: ignore[misc]  # the base is made by Django at run time
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **values, **kwargs)

    return Bound
