"""The Live page, the figures it begins with, and the same as a file."""

from dataclasses import astuple

import msgspec
from django.core.exceptions import BadRequest
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext

from attribution import money
from attribution.exports import sheets
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest, organization_page
from gateway.live import page, recent
from gateway.live.events import AskedError
from gateway.live.recent import Recent, Sum


@organization_page("gateway:live-show")
def show(request: OrganizationRequest) -> HttpResponse:
    """Show the page; a filter that cannot be read is named, and everything shown instead."""
    problem, query = "", request.GET
    try:
        filters = page.filters(query)
    except AskedError as error:
        problem = gettext("The filter cannot be read: %(reason)s Every call is shown.")
        problem %= {"reason": error}
        query = QueryDict()
        filters = page.filters(query)
    shown = page.build(request, filters, query) | {"problem": problem}
    return render(request, "gateway/live/show.html", {"page": shown})


@organization_page("gateway:live-recent")
def latest(request: OrganizationRequest) -> HttpResponse:
    """Return the last minutes as JSON, for the page to go on from."""
    found = _recent(request)
    told = {
        "as_of": recent.instant_text(found.as_of),
        "since": recent.instant_text(found.since),
        "sums": [[second, *_plain(one)] for second, one in found.sums.items()],
        "newest": found.newest,
        "overlap": found.overlap,
    }
    headers = {"Cache-Control": "no-store"}
    body = msgspec.json.encode(told)
    return HttpResponse(body, content_type="application/json", headers=headers)


@organization_page("gateway:live-download")
def download(request: OrganizationRequest) -> HttpResponse:
    """Return the last minutes as a CSV file, a line for every bar of the chart."""
    header = ["from", "calls", "cost_usd", "unusual_calls", "unusual_cost_usd"]
    steps = recent.steps(_recent(request), seconds=page.STEP)
    name = f"{request.organization.slug}-live.csv"
    return HttpResponse(
        "".join(sheets.csv_lines(header, ((at, *astuple(one)) for at, one in steps))),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _recent(request: OrganizationRequest) -> Recent:
    try:
        filters = page.filters(request.GET)
    except AskedError as error:
        raise BadRequest(str(error)) from error
    return recent.read(
        filters,
        {row.pk: row.code for row in access.cost_centers(request)},
        is_narrowed=access.is_narrowed(request),
        unusual_above=request.organization.anomaly_call_usd,
        at=timezone.now(),
    )


def _plain(one: Sum) -> tuple[int, str, int, str]:
    cost, unusual = money.text(one.cost), money.text(one.unusual_cost)
    return one.calls, cost, one.unusual_calls, unusual
