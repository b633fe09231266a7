"""The pages of overrides: what is added to limits for a while, granting and revoking it."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext

from attribution.approvals.decisions import DecisionError
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.control import history, sight, structure
from budgets.control.forms import OverrideForm, RevocationForm
from budgets.limits import overrides, raises
from budgets.limits.amounts import BudgetOverride
from budgets.limits.overrides import OverrideError

MOST = 200


@organization_page("budgets:override-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """Show what runs, what comes and what is over."""
    rows = history.overrides(_visible(request)[:MOST], at=timezone.now())
    context = {
        "running": [row for row in rows if row.level == "good"],
        "coming": [row for row in rows if row.level in {"info", "warn"}],
        "past": [row for row in rows if row.level == "none"],
        "waiting": sum(row.level == "warn" for row in rows),
        "may_grant": access.may(request, "POST", "budgets:override-grant"),
    }
    return render(request, "budgets/control/overrides_list.html", context)


@organization_page("budgets:override-grant")
def grant(request: OrganizationRequest) -> HttpResponse:
    """Raise a limit for a while, or ask a second person where the organization wants one."""
    budgets = sight.budgets(request, structure.of(request)).filter(archived_at=None)
    asked = {"budget": request.GET.get("budget", "")}
    form = OverrideForm(request.POST or None, initial=asked, budgets=budgets.order_by("name"))
    if request.method != "POST" or not form.is_valid() or not _granted(request, form):
        context = {"form": form, "allowed": raises.allowed()}
        return render(request, "budgets/control/override_grant.html", context)
    return redirect("budgets:override-list")


@organization_page("budgets:override-revoke")
def revoke(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """End an override before its time; the next call meets the lower limit."""
    override = access.loaded(_visible(request), object_id)
    (row,) = history.overrides([override], at=timezone.now())
    form = RevocationForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "budgets/control/override_revoke.html", {"row": row, "form": form})
    by, reason = access.actor(request), form.cleaned_data["reason"]
    try:
        overrides.revoke(override, at=timezone.now(), by=by, reason=reason)
    except OverrideError:
        messages.error(request, gettext("It has ended already: nothing was changed."))
    else:
        messages.success(request, gettext("Revoked: the next call meets the limit without it."))
    return redirect("budgets:override-list")


def _granted(request: OrganizationRequest, form: OverrideForm) -> bool:
    """Add the override, or say on the form why not."""
    at, values = timezone.now(), form.cleaned_data
    terms: Any = form.terms(at)
    try:
        waiting = raises.add_override(values["budget"], terms, at=at, by=access.actor(request))
    except (OverrideError, DecisionError):
        form.add_error(None, gettext("This cannot be added: the budget or the time has ended."))
        return False
    if waiting is None:
        messages.success(request, gettext("Added: the next call meets the higher limit."))
    else:
        messages.info(
            request,
            gettext("It waits for a second person, and adds nothing before that one approves."),
        )
    return True


def _visible(request: OrganizationRequest) -> QuerySet[BudgetOverride]:
    budgets = sight.budgets(request, structure.of(request)).values("pk")
    rows = BudgetOverride.objects.filter(budget__in=budgets)
    return rows.select_related("budget", "requested_by", "approved_by").order_by("-starts_at")
