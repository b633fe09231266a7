"""The pages of plans: the file and its template, the copy, the preview that is confirmed."""

from contextlib import suppress
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms import UUIDField
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from attribution import calendar
from attribution.exports.workbooks import MIME
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.limits.coverage import SOURCES
from budgets.limits.models import Budget, Scope
from budgets.plans import copies, drafts, facts, sheets, steps
from budgets.plans.drafts import Applied, ChangedError, PlanError
from budgets.plans.facts import Known
from budgets.plans.fields import FIELDS
from budgets.plans.forms import CopyForm, ImportForm
from budgets.plans.models import BudgetPlan, PlanKind
from budgets.plans.page import page
from budgets.plans.steps import HeadingError, Step

REFUSALS = {
    drafts.AppliedError.code: _("This plan was applied already; nothing is done twice."),
    drafts.FaultyError.code: _("Rows with an error stop the whole plan: correct the file first."),
    drafts.WaitingError.code: _("A raise of this budget waits for a second person already:"),
    ChangedError.code: _("Budgets changed since this preview; nothing was written:"),
}


@organization_page("budgets:plan-download")
def download(request: OrganizationRequest) -> HttpResponse:
    """Hand out the running budgets with the columns of the import; `example` adds a row to learn from."""
    chosen = _chosen(request)
    budgets = _running().filter(pk__in=chosen) if chosen else _running()
    rows = facts.facts_of(budgets, _names(request)).values()
    has_example = "example" in request.GET
    if request.GET.get("as") == "csv":
        response = HttpResponse(
            sheets.as_csv(rows, has_example=has_example), content_type="text/csv"
        )
        name = "budgets.csv"
    else:
        response = HttpResponse(sheets.as_xlsx(rows, has_example=has_example), content_type=MIME)
        name = "budgets.xlsx"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@organization_page("budgets:plan-import")
def import_file(request: OrganizationRequest) -> HttpResponse:
    """Read a file of budgets and show what it would do."""
    names = _names(request)
    form = ImportForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    if request.method == "POST" and form.is_valid():
        try:
            planned = steps.steps(form.cleaned_data["table"].lines, names)
        except HeadingError as error:
            form.add_error("file", str(error))
        else:
            _date(planned, form.cleaned_data["begins_on"], request)
            return _keep(request, PlanKind.IMPORT, planned, form)
    return render(request, "budgets/plans/import.html", {"form": form, "fields": FIELDS})


@organization_page("budgets:plan-copy")
def copy(request: OrganizationRequest) -> HttpResponse:
    """Choose by how much the limits of some budgets change, and show what that makes of them."""
    names = _names(request)
    budgets = list(_running().filter(pk__in=_chosen(request)))
    form = CopyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and budgets and form.is_valid():
        planned = copies.steps(budgets, form.change, names, at=timezone.now())
        return _keep(request, PlanKind.COPY, planned, form)
    return render(request, "budgets/plans/copy.html", {"form": form, "budgets": budgets})


@organization_page("budgets:plan-show")
def show(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show what a plan does; a POST does it."""
    names = _names(request)
    plan = access.loaded(BudgetPlan.objects.select_related("made_by", "applied_by"), object_id)
    context: dict[str, object] = {}
    if request.method == "POST":
        try:
            done = drafts.apply(plan, names, by=access.actor(request), at=timezone.now())
        except PlanError as error:
            context = {"refusal": REFUSALS[error.code], "refused": str(error)}
            context["differences"] = getattr(error, "differences", [])
        else:
            messages.success(request, _told(done))
            return redirect("budgets:plan-show", object_id=plan.pk)
    context |= {"page": page(plan, at=timezone.now())}
    return render(request, "budgets/plans/show.html", context)


def _keep(
    request: OrganizationRequest, kind: PlanKind, planned: list[Step], form: ImportForm | CopyForm
) -> HttpResponse:
    upload = form.cleaned_data.get("file")
    plan = drafts.keep(
        kind,
        planned,
        by=access.actor(request),
        at=timezone.now(),
        source=upload.name if upload else "",
        reason=form.cleaned_data["reason"],
    )
    return redirect("budgets:plan-show", object_id=plan.pk)


def _date(planned: list[Step], begins_on: date | None, request: OrganizationRequest) -> None:
    """Give changed limits the day from which they act, at midnight in each budget's zone."""
    if begins_on is None:
        return
    for step in planned:
        zone = step.after.get("time_zone") or request.organization.time_zone
        begins: datetime = calendar.day_start(begins_on, ZoneInfo(zone))
        if step.before is not None and begins > timezone.now():
            step.begins_at = begins.isoformat()


def _names(request: OrganizationRequest) -> Known:
    """Return what sheets may name; plans are about all budgets, so whoever sees a part makes none."""
    if access.is_narrowed(request):
        raise PermissionDenied
    named = {scope: list(source(request)) for scope, source in SOURCES.items()}
    named[Scope.COST_CENTER] = [(row.pk, row.code) for row in access.cost_centers(request)]
    return facts.known(named)


def _running() -> QuerySet[Budget]:
    return Budget.objects.filter(archived_at=None).order_by("name")


def _chosen(request: OrganizationRequest) -> list[UUID]:
    """Return the ids of the budgets that the admin's list sent along; a malformed one is none."""
    asked = request.POST if request.method == "POST" else request.GET
    field = UUIDField()
    chosen: list[UUID] = []
    for one in asked.getlist("budget"):
        with suppress(ValidationError):
            chosen.append(field.clean(one))
    return chosen


def _told(done: Applied) -> str:
    parts = [
        ngettext("%(n)s budget added", "%(n)s budgets added", done.created) % {"n": done.created},
        ngettext("%(n)s changed", "%(n)s changed", done.revised) % {"n": done.revised},
    ]
    if done.asked:
        waits = ngettext(
            "%(n)s raise waits for a second person",
            "%(n)s raises wait for a second person",
            done.asked,
        )
        parts.append(waits % {"n": done.asked})
    return gettext("Applied: %(what)s.") % {"what": ", ".join(parts)}
