"""The page of refused calls: which budget stood in the way, and by how much."""

from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from attribution.reports.filters import FilterError
from attribution.templatetags.tollkeeper import count
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.control import board, refused, structure
from budgets.control.structure import Structure
from budgets.control.views.budgets import csv_file
from budgets.reservations import refusals


@organization_page("budgets:refusal-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """Show the refusals that this person may look at, and the one whose id was pasted."""
    shape, problem = structure.of(request), ""
    try:
        page = _page(request, shape, request.GET)
    except FilterError as error:
        page = _page(request, shape, QueryDict())
        problem = gettext("The filter “%(filter)s” cannot be shown; here are the last 30 days.")
        problem %= {"filter": error}
    found = refused.one(request, shape, request.GET.get("request", ""))
    context = {"page": page, "problem": problem, "found": found}
    return render(request, "budgets/control/refusals.html", context)


@organization_page("budgets:refusal-download")
def download(request: OrganizationRequest) -> HttpResponse:
    """Return the refusals as a CSV file."""
    shape = structure.of(request)
    try:
        days = refused.days_of(request, request.GET, at=timezone.now())
        chosen = refused.selection(request, shape, request.GET, days=days)
    except FilterError as error:
        raise BadRequest(str(error)) from error
    found = refusals.page(chosen, limit=refused.MOST)
    rows = refused.rows(request, shape, found.rows)
    return csv_file(request, "refusals", refused.table(rows))


def _page(request: OrganizationRequest, shape: Structure, query: QueryDict) -> dict[str, Any]:
    days = refused.days_of(request, query, at=timezone.now())
    chosen = refused.selection(request, shape, query, days=days)
    found = refusals.page(chosen, before=_before(query))
    tallies = refusals.tallies(chosen)
    return {
        "days": days,
        "rows": refused.rows(request, shape, found.rows),
        "tallies": tallies,
        "finding": _finding(tallies),
        "budget": next((t for t in tallies if t.budget_id == chosen.budget_id), None),
        "kinds": [(name, label, name == query.get("kind", "")) for name, label in refused.kinds()],
        "centers": [
            (c.code, c.code, c.code in query.getlist("cost_center")) for c in shape.centers.values()
        ],
        "is_narrow": bool(query.keys() - {"before", "request"}),
        "next_url": board.changed(query, before=str(found.before)) if found.before else "",
        "first_url": board.changed(query, before="") if query.get("before") else "",
        "csv_url": f"{reverse('budgets:refusal-download')}?{query.urlencode()}",
    }


def _finding(tallies: list[refusals.Tally]) -> str:
    """Say how many calls were refused, and by which budget most."""
    total = sum(one.refused for one in tallies)
    if not total:
        return gettext("No budget has refused a call in these days.")
    text = ngettext(
        "%(number)s call was refused: %(name)s stood in the way.",
        "%(number)s calls were refused; %(name)s stood in the way of most, %(most)s.",
        total,
    )
    first = tallies[0]
    return text % {
        "number": count(total), "name": first.budget_name, "most": count(first.refused),
    }  # fmt: skip


def _before(query: QueryDict) -> UUID | None:
    """Return the call after which the page goes on; a place that cannot be read is the beginning."""
    try:
        return UUID(query.get("before", ""))
    except ValueError:
        return None
