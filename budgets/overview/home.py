"""The Overview: spend against budgets, on one page."""

from zoneinfo import ZoneInfo

from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from attribution.dashboards import charts
from attribution.dashboards.charts import Table
from attribution.dashboards.scene import Center, Scene
from attribution.exports import sheets
from attribution.ledger import rollups
from attribution.reports import filters
from attribution.reports.filters import FilterError
from attribution.templatetags.tollkeeper import instant_text
from attribution.tenancy import access, roles
from attribution.tenancy.access import OrganizationRequest, organization_page
from budgets.overview import page


@organization_page("budgets:overview-show")
def show(request: OrganizationRequest) -> HttpResponse:
    """Show the Overview; a filter that cannot be read is named, and the default shown instead."""
    problem = ""
    try:
        scene = _scene(request, request.GET)
    except FilterError as error:
        scene = _scene(request, QueryDict())
        problem = gettext("The filter “%(filter)s” cannot be shown; here are the last 30 days.")
        problem %= {"filter": error}
    with timezone.override(_zone(request)):
        shown = page.build(scene) | {"problem": problem, "budget_url": _budget_url(request)}
        return render(request, "budgets/overview/home.html", {"page": shown})


@organization_page("budgets:overview-table")
def table(request: OrganizationRequest, panel: str) -> HttpResponse:
    """Return one panel's table for the page to put in place."""
    with timezone.override(_zone(request)):
        context = {"table": _table(request, panel), "caption": panel}
        return render(request, "components/table.html", context)


@organization_page("budgets:overview-download")
def download(request: OrganizationRequest, panel: str) -> HttpResponse:
    """Return one panel's table as a CSV file."""
    found = _table(request, panel)
    name = f"{request.organization.slug}-{panel}.csv"
    return HttpResponse(
        "".join(sheets.csv_lines(found.header, found.rows)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@organization_page("budgets:overview-stamp")
def stamp(request: OrganizationRequest) -> HttpResponse:
    """Return a small word that changes with the figures, and how fresh they are."""
    scene = _readable(request)
    as_of = rollups.advanced_at()
    with timezone.override(_zone(request)):
        shown = instant_text(as_of, "time") if as_of else ""
    return JsonResponse(
        {"stamp": page.stamp(scene), "as_of": shown, "is_stale": page.is_stale(scene, as_of)},
        headers={"Cache-Control": "no-store"},
    )


def _table(request: OrganizationRequest, panel: str) -> Table:
    if panel not in page.PANELS:
        raise Http404
    return page.PANELS[panel](_readable(request))


def _readable(request: OrganizationRequest) -> Scene:
    try:
        return _scene(request, request.GET)
    except FilterError as error:
        raise BadRequest(str(error)) from error


def _scene(request: OrganizationRequest, query: QueryDict) -> Scene:
    zone = _zone(request)
    at = timezone.now()
    rows = list(access.cost_centers(request).order_by("created_at", "code"))
    hues = charts.hues(row.pk for row in rows)
    chosen = filters.parse(
        query,
        cost_centers={row.code: row.pk for row in rows},
        is_narrowed=access.is_narrowed(request),
        zone=zone,
        at=at,
    )
    return Scene(chosen, {row.pk: Center(row.code, row.name, hues[row.pk]) for row in rows}, at)


def _budget_url(request: OrganizationRequest) -> str:
    """Return where a budget is set, for those who may."""
    name = "admin:budgets_budget_add"
    rule = roles.rule(name)
    may = rule is not None and rule.allows("POST", access.role_of(request))
    return reverse(name) if may else ""


def _zone(request: OrganizationRequest) -> ZoneInfo:
    return ZoneInfo(request.organization.time_zone)
