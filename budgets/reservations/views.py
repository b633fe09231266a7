"""Finance's pages of cost after the fact: calls without a cost, and re-rating with its preview."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.http import require_http_methods, require_safe

from attribution.dashboards import looking
from attribution.dashboards.charts import Table
from attribution.templatetags.tollkeeper import month_text
from attribution.tenancy import access
from attribution.tenancy.access import OrganizationRequest, organization_page
from attribution.tenancy.models import User
from budgets.reservations import corrections, reratings, sheets, unpriced
from budgets.reservations.forms import RerateForm
from budgets.reservations.models import Rerating
from budgets.reservations.unpriced import Remedy, Unpriced

LOOKED_AT = 20_000  # calls of one preview; the command has no such end
RECENT = 10
TICK = timedelta(microseconds=1)


@require_safe
@organization_page("budgets:unpriced-show")
def show_unpriced(request: OrganizationRequest) -> HttpResponse:
    """Show which calls have no cost, and what would give them one."""
    _whole(request)
    now = timezone.now()
    groups = unpriced.found(at=now)
    may_price = _may(request, "admin:attribution_price_add")
    names = _names()
    rows = [_row(group, names, may_price=may_price) for group in groups]
    recent = list(Rerating.objects.order_by("-created_at")[:RECENT])
    people = User.objects.in_bulk([one.actor_id for one in recent if one.actor_id])
    page = {
        "rows": rows,
        "calls": sum(group.calls for group in groups),
        "models": len({(group.provider, group.model) for group in groups}),
        "ready": sum(g.calls - g.shut_calls for g in groups if g.remedy == Remedy.RERATE),
        "reratings": [(one, people.get(one.actor_id)) for one in recent],
        "may_rerate": _may(request, "budgets:rerating-preview"),
    }
    return render(request, "budgets/reservations/unpriced.html", {"page": page})


@require_safe
@organization_page("budgets:unpriced-download")
def download_unpriced(request: OrganizationRequest) -> HttpResponse:
    """Return the calls without a cost as a file."""
    _whole(request)
    table = sheets.unpriced_table(unpriced.found(at=timezone.now()), _names())
    return _file(request, "unpriced", table)


@require_safe
@organization_page("budgets:rerating-download")
def download_preview(request: OrganizationRequest) -> HttpResponse:
    """Return one table of what a re-rating would change as a file."""
    _whole(request)
    form = RerateForm(request.GET.dict(), today=_today(), is_confirmed=False)
    if not form.is_valid():
        raise Http404
    found = corrections.preview(form.selection, most=LOOKED_AT)
    asked = request.GET.get("table", "month")
    part = f"-of-the-first-{LOOKED_AT}-calls" if found.is_partial else ""
    for one in sheets.tables(found):
        if one.name == asked:
            return _file(request, f"re-rating-by-{one.name}{part}", one.table)
    raise Http404


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page("budgets:rerating-preview")
def preview(request: OrganizationRequest) -> HttpResponse:
    """Show what a re-rating would change; a POST with a reason starts it."""
    _whole(request)
    is_confirmed = request.method == "POST"
    given = request.POST if is_confirmed else request.GET
    form = RerateForm(given.dict(), today=_today(), is_confirmed=is_confirmed)
    if not form.is_valid():
        return _previewed(request, form, status=422 if is_confirmed else 200)
    if is_confirmed:
        by, reason = access.actor(request), form.cleaned_data["reason"]
        rerating = reratings.start(form.selection, by=by, reason=reason)
        reratings.advance(rerating)  # most are done with the first page
        return redirect("budgets:rerating-show", object_id=rerating.pk)
    return _previewed(request, form)


@require_safe
@organization_page("budgets:rerating-show")
def show(request: OrganizationRequest, object_id: UUID) -> HttpResponse:
    """Show what a re-rating has changed so far."""
    _whole(request)
    rerating = access.loaded(Rerating.objects.all(), str(object_id))
    page = {
        "rerating": rerating,
        "figures": reratings.figures_of(rerating),
        "months": _span(rerating.starts_at, rerating.ends_at),
        "person": User.objects.filter(pk__in=[rerating.actor_id]).first(),
    }
    return render(request, "budgets/reservations/rerating.html", {"page": page})


def _previewed(
    request: OrganizationRequest, form: RerateForm, *, status: int = 200
) -> HttpResponse:
    is_readable = not set(form.errors) - {"reason"}
    found = corrections.preview(form.selection, most=LOOKED_AT) if is_readable else None
    page = {
        "form": form,
        "found": found,
        "tables": [one for one in sheets.tables(found) if one.table.rows] if found else [],
        "kept": sheets.kept(found) if found else [],
        "looked_at": LOOKED_AT,
        "may_rerate": _may(request, "budgets:rerating-preview"),
    }
    return render(request, "budgets/reservations/preview.html", {"page": page}, status=status)


def _file(request: OrganizationRequest, name: str, table: Table) -> HttpResponse:
    write = looking.xlsx_file if request.GET.get("as") == "xlsx" else looking.csv_file
    return write(request, name, table)


def _row(group: Unpriced, names: dict[UUID, str], *, may_price: bool) -> dict[str, Any]:
    """Return a line of the list with the one action that helps it."""
    names_it = {"provider": group.provider, "model": group.model}
    first, last = (f"{at.astimezone(UTC):%Y-%m}" for at in (group.first_at, group.last_at))
    months = {"first": first, "last": last, "unpriced": "on"}
    begins = {"begins_at": group.first_at.astimezone(UTC).replace(microsecond=0).isoformat()}
    price = f"{reverse('admin:attribution_price_add')}?{urlencode(names_it | begins)}"
    rerate = f"{reverse('budgets:rerating-preview')}?{urlencode(names_it | months)}"
    return {
        "group": group,
        "first": group.first_at.isoformat(),
        "last": group.last_at.isoformat(),
        "upstream": names.get(group.upstream_id, "") if group.upstream_id else "",
        "price_url": price if group.remedy == Remedy.PRICE and may_price else "",
        "rerate_url": rerate if group.remedy == Remedy.RERATE else "",
    }


def _names() -> dict[UUID, str]:
    """Return the names of upstreams: a package above knows them, the settings name it."""
    names: dict[UUID, str] = import_string(settings.UPSTREAM_NAMES)()
    return names


def _whole(request: OrganizationRequest) -> None:
    """Refuse people who see a part of the organization: these figures are of all of it."""
    if access.is_narrowed(request):
        raise PermissionDenied


def _may(request: OrganizationRequest, name: str) -> bool:
    return access.may(request, "POST", name)


def _today() -> date:
    return timezone.now().astimezone(UTC).date()


def _span(start: datetime, end: datetime) -> str:
    """Name the months of [start, end), of UTC."""
    first, last = start.astimezone(UTC), (end - TICK).astimezone(UTC)
    names = dict.fromkeys((month_text(first.date()), month_text(last.date())))
    return " \N{EN DASH} ".join(names)
