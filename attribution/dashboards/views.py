"""The pages of spend alone: the Explorer, and the calls that every figure comes from."""

from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from attribution.dashboards import callbook, explorer, frame, looking, questions
from attribution.dashboards.names import DIMENSIONS, Names
from attribution.dashboards.questions import Asked
from attribution.dashboards.scene import Scene
from attribution.ledger import rollups
from attribution.reports import ranking
from attribution.reports.breakdown import TooManyRowsError
from attribution.reports.filters import FilterError
from attribution.tenancy.access import OrganizationRequest, organization_page

FILES = {"csv": looking.csv_file, "xlsx": looking.xlsx_file}


@organization_page("attribution:explorer-show")
def explore(request: OrganizationRequest) -> HttpResponse:
    """Show what was asked; what cannot be told apart is named, and the usual question shown."""
    scene, asked, problem = _asked(request)
    names = Names(scene)
    with timezone.override(looking.zone_of(request)):
        found = ranking.read(asked.filters, asked.question, limit=explorer.PAGE, after=asked.after)
        calls_url = reverse("attribution:call-list")
        shown = {
            **_frame(scene, asked, names, problem),
            "lines": explorer.lines(asked, found, names, scene, calls_url),
            "total": found.total,
            "total_cost": explorer.known(found.total),
            "chart": explorer.chart(asked, found, names, scene),
            **_pages(asked, is_more=found.is_more),
        }
        return render(request, "attribution/dashboards/explorer.html", {"page": shown})


@organization_page("attribution:explorer-download")
def download(request: OrganizationRequest, suffix: str) -> HttpResponse:
    """Return every group as a CSV or XLSX file."""
    if suffix not in FILES:
        raise Http404
    try:
        scene = looking.scene(request, request.GET)
        asked = questions.parse(request.GET, scene.filters)
        table = explorer.file(asked, Names(scene))
    except (FilterError, TooManyRowsError) as error:
        raise BadRequest(str(error)) from error
    return FILES[suffix](request, "explorer", table)


@organization_page("attribution:call-list")
def calls(request: OrganizationRequest) -> HttpResponse:
    """List the calls behind a figure, the newest first."""
    scene, asked, problem = _asked(request)
    names = Names(scene)
    with timezone.override(looking.zone_of(request)):
        try:
            book = callbook.read(scene, asked, before=str(request.GET.get("before") or ""))
        except FilterError as error:
            raise BadRequest(str(error)) from error
        shown = _frame(scene, asked, names, problem) | {"book": book}
        return render(request, "attribution/dashboards/calls.html", {"page": shown})


@organization_page("attribution:call-show")
def call(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show one call: who, what for, what it used, and every entry of the ledger that it made."""
    scene = looking.scene(request, QueryDict())
    with timezone.override(looking.zone_of(request)):
        shown = callbook.one(scene, _id(object_id))
        if shown is None:
            raise Http404
        return render(request, "attribution/dashboards/call.html", {"page": shown})


def _asked(request: OrganizationRequest) -> tuple[Scene, Asked, str]:
    try:
        scene = looking.scene(request, request.GET)
        return scene, questions.parse(request.GET, scene.filters), ""
    except FilterError as error:
        scene = looking.scene(request, QueryDict())
        text = gettext("The filter “%(filter)s” cannot be shown; here are the last 30 days.")
        return scene, questions.parse(QueryDict(), scene.filters), text % {"filter": error}


def _frame(scene: Scene, asked: Asked, names: Names, problem: str) -> dict[str, Any]:
    """Return what stands above the figures: filters, form, what was chosen, files."""
    explorer.learn(names, asked, ())
    query = asked.url()
    return {
        **frame.build(scene, kept=asked.parameters()),
        **explorer.choices(asked),
        "filters": asked.filters,
        "asked": asked,
        "chosen": [
            (
                DIMENSIONS[name],
                ", ".join(names.of(name, one) for one in kept),
                asked.without(name).url(),
            )
            for name, kept in asked.question.values.items()
        ],
        "kept": asked.parameters(),
        "problem": problem,
        "as_of": rollups.advanced_at(),
        "calls_url": f"{reverse('attribution:call-list')}{query}",
        "explorer_url": f"{reverse('attribution:explorer-show')}{query}",
        "files": [
            (suffix.upper(), f"{reverse('attribution:explorer-download', args=[suffix])}{query}")
            for suffix in FILES
        ],
    }


def _pages(asked: Asked, *, is_more: bool) -> dict[str, Any]:
    following = asked.after + explorer.PAGE
    return {
        "is_first": not asked.after,
        "first_url": asked.turned(0).url(),
        "next_url": asked.turned(following).url() if is_more else "",
    }


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Http404 from error
