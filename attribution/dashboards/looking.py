"""What a request to a page of spend looks at: its filters, and the cost centers of whoever asks."""

from zoneinfo import ZoneInfo

from django.http import HttpResponse, QueryDict
from django.utils import timezone

from attribution.dashboards import charts
from attribution.dashboards.charts import Table
from attribution.dashboards.scene import Center, Scene
from attribution.exports import sheets, workbooks
from attribution.exports.workbooks import Page
from attribution.reports import filters
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest


def scene(request: OrganizationRequest, query: QueryDict) -> Scene:
    """Read what a page looks at; a filter that cannot be read is a FilterError."""
    zone, at = zone_of(request), timezone.now()
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


def zone_of(request: OrganizationRequest) -> ZoneInfo:
    """Return the zone whose days and hours pages show."""
    return ZoneInfo(request.organization.time_zone)


def csv_file(request: OrganizationRequest, name: str, table: Table) -> HttpResponse:
    """Return a table as a CSV file."""
    return HttpResponse(
        "".join(sheets.csv_lines(table.header, table.rows)),
        content_type="text/csv; charset=utf-8",
        headers=_as_file(request, f"{name}.csv"),
    )


def xlsx_file(request: OrganizationRequest, name: str, table: Table) -> HttpResponse:
    """Return a table as an XLSX file."""
    content = workbooks.workbook([Page(name, table.header, table.rows)])
    return HttpResponse(
        content, content_type=workbooks.MIME, headers=_as_file(request, f"{name}.xlsx")
    )


def _as_file(request: OrganizationRequest, name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{request.organization.slug}-{name}"'}
