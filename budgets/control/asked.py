"""What a page of budgets is asked for by its address: filters, order, day; anything unreadable is named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import QueryDict

from attribution import calendar
from attribution.reports.filters import FilterError
from budgets.alerts import states
from budgets.control.structure import Structure
from budgets.limits.models import Enforcement, Scope

LIST, TREE = "list", "tree"
VIEWS = (LIST, TREE)
SORTS = ("name", "limit", "spent", "remaining", "used", "forecast", "out", "state")
DEFAULT_SORT = "-used"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which budgets to show, how, and as of which day; None: now."""

    view: str = LIST
    sort: str = DEFAULT_SORT
    page: int = 1
    search: str = ""
    scope: str = ""
    enforcement: str = ""
    state: str = ""
    department_id: UUID | None = None
    centers: Mapping[str, UUID] = field(default_factory=dict)
    on: date | None = None

    @property
    def is_narrow(self) -> bool:
        """Say whether any filter leaves budgets out."""
        chosen = (self.search, self.scope, self.enforcement, self.state, self.department_id)
        return any(chosen) or bool(self.centers)

    def at(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the instant that is looked at: the last of the chosen day, else now."""
        if self.on is None or self.on >= calendar.local_day(now, zone):
            return now
        end = calendar.day_start(self.on + timedelta(days=1), zone)
        return end - timedelta(microseconds=1)


def parse(query: QueryDict, structure: Structure) -> Asked:
    """Read what is asked for; a value that nobody offers raises with its name."""
    return Asked(
        view=_one_of("view", query, VIEWS) or LIST,
        sort=_sort(query),
        page=_page(query),
        search=query.get("q", "").strip()[:64],
        scope=_one_of("scope", query, Scope.values),
        enforcement=_one_of("enforcement", query, Enforcement.values),
        state=_one_of("state", query, states.STATES),
        department_id=_department(query, structure),
        centers=_centers(query, structure),
        on=_day(query),
    )


def _one_of(name: str, query: QueryDict, values: Any) -> str:
    value = query.get(name, "")
    if value and value not in values:
        raise FilterError(f"{name}: {value[:40]}")
    return value


def _sort(query: QueryDict) -> str:
    value = query.get("sort", "") or DEFAULT_SORT
    if value.removeprefix("-") not in SORTS:
        raise FilterError(f"sort: {value[:40]}")
    return value


def _page(query: QueryDict) -> int:
    text = query.get("page", "") or "1"
    if not text.isascii() or not text.isdigit() or int(text[:6]) < 1:
        raise FilterError(f"page: {text[:40]}")
    return int(text[:6])


def _department(query: QueryDict, structure: Structure) -> UUID | None:
    text = query.get("department", "")
    if not text:
        return None
    found = [row.pk for row in structure.departments.values() if str(row.pk) == text]
    if not found:
        raise FilterError(f"department: {text[:40]}")
    return found[0]


def _centers(query: QueryDict, structure: Structure) -> dict[str, UUID]:
    known = {row.code: row.pk for row in structure.centers.values()}
    chosen = [code for code in query.getlist("cost_center") if code]
    strange = [code for code in chosen if code not in known]
    if strange:
        raise FilterError(f"cost_center: {strange[0][:40]}")
    return {code: known[code] for code in chosen}


def _day(query: QueryDict) -> date | None:
    text = query.get("on", "")
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise FilterError(f"on: {text[:40]}") from error
    if not date(2000, 1, 1) <= day < date(2100, 1, 1):
        raise FilterError(f"on: {text[:40]}")
    return day
