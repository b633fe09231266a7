"""The history of alerts, and acknowledging one."""

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST

from attribution import calendar
from attribution.reports.filters import FilterError, Range, read_range
from attribution.templatetags.tollkeeper import count
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.alerts.models import Alert
from budgets.channels.models import Topic
from budgets.control import board, crossings, sight, structure
from budgets.control.structure import Structure
from budgets.control.views.budgets import csv_file
from budgets.limits.models import Basis
from budgets.notifications import acknowledging
from budgets.notifications.acknowledging import Subject


@organization_page("budgets:alert-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """Show the alerts of the budgets that this person may look at."""
    shape, problem = structure.of(request), ""
    try:
        page = _page(request, shape, request.GET)
    except FilterError as error:
        page = _page(request, shape, QueryDict())
        problem = gettext("The filter “%(filter)s” cannot be shown; here are the last 90 days.")
        problem %= {"filter": error}
    return render(request, "budgets/control/alerts.html", {"page": page, "problem": problem})


@organization_page("budgets:alert-download")
def download(request: OrganizationRequest) -> HttpResponse:
    """Return the alerts as a CSV file."""
    try:
        rows, _days = _rows(request, structure.of(request), request.GET)
    except FilterError as error:
        raise BadRequest(str(error)) from error
    found, _following = crossings.page(rows, "", limit=crossings.MOST)
    return csv_file(request, "alerts", crossings.table(found))


@require_POST
@organization_page("budgets:alert-acknowledge")
def acknowledge(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Say for everybody that somebody has seen to an alert."""
    alert = access.loaded(crossings.visible(request, structure.of(request)), object_id)
    subject = Subject(request.organization.pk, Topic.THRESHOLD, str(alert.pk))
    acknowledging.acknowledge(
        subject, person=request.user, by=access.actor(request), at=timezone.now()
    )
    messages.success(request, gettext("Acknowledged: everybody sees that you have seen to it."))
    return redirect("budgets:alert-list")


def _page(request: OrganizationRequest, shape: Structure, query: QueryDict) -> dict[str, Any]:
    rows, days = _rows(request, shape, query)
    found, following = crossings.page(rows, query.get("before", ""))
    budgets = sight.budgets(request, shape).filter(archived_at=None).order_by("name")
    states = [(crossings.OPEN, gettext("not yet")), (crossings.SEEN, gettext("acknowledged"))]
    return {
        "days": days,
        "rows": found,
        "finding": _finding(rows),
        "bases": _options(Basis.choices, query.get("basis", "")),
        "states": _options(states, query.get("seen", "")),
        "budgets": _options([(str(b.pk), b.name) for b in budgets[:500]], query.get("budget", "")),
        "is_narrow": bool(query.keys() - {"before"}),
        "next_url": board.changed(query, before=following) if following else "",
        "first_url": board.changed(query, before="") if query.get("before") else "",
        "csv_url": f"{reverse('budgets:alert-download')}?{query.urlencode()}",
        "may_acknowledge": access.may(request, "POST", "budgets:alert-acknowledge"),
    }


def _rows(
    request: OrganizationRequest, shape: Structure, query: QueryDict
) -> tuple[QuerySet[Alert], Range]:
    zone = ZoneInfo(request.organization.time_zone)
    named = query if query.get("range") else QueryDict("range=90d")
    days = read_range(named, today=calendar.local_day(timezone.now(), zone), zone=zone)
    return crossings.chosen(crossings.visible(request, shape), query, days), days


def _finding(rows: QuerySet[Alert]) -> str:
    number = rows.count()
    if not number:
        return gettext("No threshold was crossed in these days.")
    text = ngettext(
        "%(number)s threshold was crossed, last by %(name)s.",
        "%(number)s thresholds were crossed, last by %(name)s.",
        number,
    )
    newest = rows[0]
    return text % {"number": count(number), "name": newest.budget_period.budget.name}


def _options(choices: Any, chosen: str) -> list[tuple[str, str, bool]]:
    return [(str(value), str(label), str(value) == chosen) for value, label in choices]
