"""The list and the tree of budgets, and one budget."""

from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import BadRequest
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext

from attribution.exports import sheets
from attribution.reports.filters import FilterError
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.control import asked, board, lines, sheet, sight, structure, tables
from budgets.control.board import Scene


@organization_page("budgets:budget-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """Show the budgets that this person may look at; an unreadable filter is named."""
    problem = ""
    try:
        scene = _scene(request, request.GET)
    except FilterError as error:
        scene = _scene(request, QueryDict())
        problem = gettext("The filter “%(filter)s” cannot be shown; here are all budgets.")
        problem %= {"filter": error}
    context: dict[str, Any] = {"page": board.build(request, scene), "problem": problem}
    return render(request, "budgets/control/list.html", context)


@organization_page("budgets:budget-download")
def download(request: OrganizationRequest) -> HttpResponse:
    """Return the budgets as a CSV file."""
    try:
        scene = _scene(request, request.GET)
    except FilterError as error:
        raise BadRequest(str(error)) from error
    return csv_file(request, "budgets", tables.budgets(scene.lines))


@organization_page("budgets:budget-show")
def show(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show one budget: how it stands, what spent it, what limited it."""
    scene = _sheet(request, object_id)
    return render(request, "budgets/control/show.html", {"page": sheet.build(request, scene)})


@organization_page("budgets:budget-table")
def table(request: OrganizationRequest, object_id: str, panel: str) -> HttpResponse:
    """Return one panel's table for the page to put in place."""
    found = sheet.table(_sheet(request, object_id), panel)
    return render(request, "components/table.html", {"table": found, "caption": panel})


@organization_page("budgets:budget-file")
def file(request: OrganizationRequest, object_id: str, panel: str) -> HttpResponse:
    """Return one panel's table as a CSV file."""
    scene = _sheet(request, object_id)
    return csv_file(request, f"budget-{panel}", sheet.table(scene, panel))


def csv_file(request: OrganizationRequest, name: str, table: Any) -> HttpResponse:
    """Return a table as a CSV file."""
    file = f"{request.organization.slug}-{name}.csv"
    return HttpResponse(
        "".join(sheets.csv_lines(table.header, table.rows)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file}"'},
    )


def _scene(request: OrganizationRequest, query: QueryDict) -> Scene:
    shape = structure.of(request)
    wanted = asked.parse(query, shape)
    at = wanted.at(timezone.now(), ZoneInfo(request.organization.time_zone))
    rows = sight.budgets(request, shape)
    return Scene(shape, wanted, at, lines.read(rows, shape, wanted, at=at))


def _sheet(request: OrganizationRequest, object_id: str) -> sheet.Scene:
    shape = structure.of(request)
    budget = sight.budget(request, shape, object_id)
    return sheet.scene(request, budget, shape, now=timezone.now())
