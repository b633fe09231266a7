"""The pages of anomalies: the list, one anomaly with its series, and what people make of it."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from attribution.dashboards import frame, looking
from attribution.dashboards.scene import Scene
from attribution.insights import figures, listing, verdicts, visibility, words
from attribution.insights.forms import VerdictForm
from attribution.insights.listing import Wish
from attribution.insights.models import Anomaly, Verdict
from attribution.ledger import rollups
from attribution.reports.filters import FilterError
from attribution.tenancy import access, changes
from attribution.tenancy.access import OrganizationRequest, organization_page


@organization_page("attribution:anomaly-list")
def show_all(request: OrganizationRequest) -> HttpResponse:
    """List the anomalies that this person may look at; a filter that cannot be read is named."""
    query, problem = request.GET, ""
    try:
        scene = looking.scene(request, query)
    except FilterError as error:
        problem = gettext("The filter “%(filter)s” cannot be shown; here are the last 30 days.")
        problem, query = problem % {"filter": error}, QueryDict()
        scene = looking.scene(request, query)
    asked = listing.wish(scene, query)
    shown = listing.page(listing.found(request, asked), query)
    context = shown | _frame(scene, asked) | {"problem": problem}
    return render(request, "attribution/insights/list.html", {"page": context})


@organization_page("attribution:anomaly-show")
def show(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Show one anomaly: what happened, why, who made most of it, and its series."""
    row = visibility.anomaly(request, object_id)
    return _shown(request, row, VerdictForm.of(row))


@organization_page("attribution:anomaly-judge")
def judge(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Change what an anomaly is taken for."""
    row = visibility.anomaly(request, object_id)
    form = VerdictForm(request.POST)
    if not form.is_valid():
        return _shown(request, row, form)
    status, note = form.cleaned_data["status"], form.cleaned_data["note"]
    verdicts.give(row, status, note=note, by=access.actor(request), at=timezone.now())
    messages.success(request, _promise(status))
    return redirect("attribution:anomaly-show", object_id=row.pk)


@organization_page("attribution:anomaly-download")
def download(request: OrganizationRequest, object_id: str) -> HttpResponse:
    """Return the series around an anomaly as a CSV file."""
    row = visibility.anomaly(request, object_id)
    found = figures.around(row, zone=looking.zone_of(request), at=timezone.now())
    table = figures.table(row, found)
    return looking.csv_file(request, f"anomaly-{row.pk}", table)


def _frame(scene: Scene, asked: Wish) -> dict[str, Any]:
    """Return what stands above the list: filters, each keeping what the others chose."""
    everything = urlencode({"range": "90d", "status": listing.ALL})
    return frame.build(scene, kept=asked.parameters) | {
        "asked": asked,
        "filters": asked.filters,
        "as_of": rollups.advanced_at(),
        "statuses": listing.STATUSES.items(),
        "units": listing.UNITS.items(),
        "all_url": f"?{everything}",
    }


def _shown(request: OrganizationRequest, row: Anomaly, form: VerdictForm) -> HttpResponse:
    at = timezone.now()
    context: dict[str, Any] = {
        "line": listing.Line.of(row),
        "finding": words.finding(row, at=at),
        "note": words.note(row),
        "parts": [
            (words.NAMES[name], words.MEANINGS[name], words.signed(amount))
            for name, amount in words.parts(row)
        ],
        "named": [one | {"change": words.signed(one["change"])} for one in words.named(row)],
        "chart": figures.chart(row, zone=looking.zone_of(request), at=at),
        "form": form if access.may(request, "POST", "attribution:anomaly-judge") else None,
        "changes": changes.of(row),
        "as_of": rollups.advanced_at(),
        "csv_url": reverse("attribution:anomaly-download", args=[row.pk]),
        "drill": _drill(row),
    }
    return render(request, "attribution/insights/show.html", context)


def _drill(row: Anomaly) -> str:
    """Return the query of the pages that tell those days' spend on the model apart."""
    last = timezone.localtime(row.ends_at - timedelta(seconds=1))
    first = timezone.localtime(row.starts_at)
    asked = {
        "range": "custom",
        "from": f"{first:%Y-%m-%d}",
        "to": f"{last:%Y-%m-%d}",
        "model": row.model,
    }
    asked |= {"cost_center": row.cost_center.code} if row.cost_center else {}
    asked |= {"api_key": str(row.api_key_id)} if row.api_key_id else {}
    return f"?{urlencode(asked)}"


def _promise(status: str) -> str:
    if status == Verdict.EXPECTED:
        return gettext(
            "Saved: from the next evaluation on, later days are not compared with these."
        )
    return gettext("Saved.")
