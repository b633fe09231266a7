"""What stands above every page of spend: the range and cost centers chosen, and what else can be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext, ngettext

from attribution.dashboards.scene import Scene
from attribution.reports.filters import DAYS, Filters, Range, named
from attribution.templatetags.tollkeeper import day_text, month_text

EN_DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A range that the picker offers."""

    label: str
    url: str
    is_current: bool


Parameters = Sequence[tuple[str, str]]


def build(scene: Scene, *, kept: Parameters = ()) -> dict[str, Any]:
    """Return the filters' labels and addresses; `kept` is what else the page's address says."""
    filters = scene.filters
    everything = replace(filters, cost_centers=None)
    rest = f"&{urlencode(kept)}" if kept else ""
    return {
        "range_label": range_label(filters.range),
        "range_choices": [_choice(filters, name, scene, rest) for name in (*DAYS, "month")],
        "range_parameters": [*everything.parameters(), *kept],
        "centers": list(scene.centers.values()),
        "centers_label": _centers_label(filters),
        "all_centers_url": f"?{everything.urlencode()}{rest}",
    }


def range_label(chosen: Range) -> str:
    """Name a range as people do."""
    if chosen.name == "today":
        return gettext("Today")
    if chosen.name == "month":
        return month_text(chosen.first)
    if chosen.name in DAYS:
        return _days_label(DAYS[chosen.name])
    return f"{day_text(chosen.first)} {EN_DASH} {day_text(chosen.last)}"


def _days_label(days: int) -> str:
    return ngettext("%(days)s day", "%(days)s days", days) % {"days": days}


def _choice(filters: Filters, name: str, scene: Scene, rest: str) -> Choice:
    chosen = named(name, today=scene.today, zone=filters.range.zone)
    url = f"?{replace(filters, range=chosen).urlencode()}{rest}"
    return Choice(range_label(chosen), url, is_current=name == filters.range.name)


def _centers_label(filters: Filters) -> str:
    chosen = list(filters.cost_centers or ())
    if not chosen:
        return gettext("All cost centers")
    if len(chosen) == 1:
        return chosen[0]
    return gettext("%(first)s and %(count)s more") % {"first": chosen[0], "count": len(chosen) - 1}
