"""What stands around the list of anomalies: the filters, their labels and addresses."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext, ngettext

from attribution import calendar
from attribution.insights import listing
from attribution.insights.listing import Wish
from attribution.ledger import rollups
from attribution.reports.filters import DAYS, Filters, Range, named
from attribution.templatetags.tollkeeper import day_text, month_text
from attribution.tenancy.access import OrganizationRequest

EN_DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A range that the picker offers."""

    label: str
    url: str
    is_current: bool


def build(request: OrganizationRequest, asked: Wish, *, at: datetime) -> dict[str, Any]:
    """Return the labels and addresses of the filters; each keeps what the others chose."""
    chosen = asked.filters
    everything = replace(chosen, cost_centers=None)
    return {
        "asked": asked,
        "filters": chosen,
        "as_of": rollups.advanced_at(),
        "range_label": _label(chosen.range),
        "range_choices": [_choice(asked, name, at) for name in (*DAYS, "month")],
        "centers": listing.choices(request),
        "centers_label": _centers_label(chosen),
        "centers_parameters": [*everything.parameters(), *asked.parameters],
        "all_centers_url": _url(replace(asked, filters=everything)),
        "parameters": chosen.parameters(),
        "statuses": listing.STATUSES.items(),
        "units": listing.UNITS.items(),
        "all_url": f"?{urlencode({'range': '90d', 'status': listing.ALL})}",
    }


def _choice(asked: Wish, name: str, at: datetime) -> Choice:
    zone = asked.filters.range.zone
    chosen = named(name, today=calendar.local_day(at, zone), zone=zone)
    moved = replace(asked, filters=replace(asked.filters, range=chosen))
    return Choice(_label(chosen), _url(moved), name == asked.filters.range.name)


def _url(asked: Wish) -> str:
    return f"?{urlencode([*asked.filters.parameters(), *asked.parameters])}"


def _label(chosen: Range) -> str:
    if chosen.name == "today":
        return gettext("Today")
    if chosen.name == "month":
        return month_text(chosen.first)
    if chosen.name in DAYS:
        days = DAYS[chosen.name]
        return ngettext("%(days)s day", "%(days)s days", days) % {"days": days}
    return f"{day_text(chosen.first)} {EN_DASH} {day_text(chosen.last)}"


def _centers_label(chosen: Filters) -> str:
    codes = list(chosen.cost_centers or ())
    if not codes:
        return gettext("All cost centers")
    if len(codes) == 1:
        return codes[0]
    return gettext("%(first)s and %(count)s more") % {"first": codes[0], "count": len(codes) - 1}
