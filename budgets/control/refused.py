"""Who was refused by which budget: the list, its counts, and one call with the arithmetic of its moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext

from attribution import calendar
from attribution.dashboards.charts import Column, Kind, Table
from attribution.reports.filters import FilterError, Range, read_range
from attribution.tenancy import access, roles
from attribution.tenancy.access import OrganizationRequest
from attribution.usage.models import CallState, UsageRecord
from budgets.control.structure import Structure
from budgets.reservations.refusals import Kind as How
from budgets.reservations.refusals import Refusal, Selection

MOST = 10_000  # rows of a file
LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Row:
    """A refusal with the names around it; amounts may be hidden from who holds the key."""

    refusal: Refusal
    cost_center: str
    is_hidden: bool = False

    @property
    def word(self) -> str:
        """Say what the budget did."""
        return dict(kinds())[self.refusal.kind]

    @property
    def level(self) -> str:
        """Return which colour and icon that has."""
        return {How.REFUSED: "bad", How.CUT: "warn", How.OBSERVED: "info"}[self.refusal.kind]

    @property
    def advice(self) -> str:
        """Say what stood in the way, and what helps."""
        found = self.refusal
        if found.kind is How.OBSERVED:
            return gettext("The budget only observes: the call went through all the same.")
        if found.kind is How.CUT:
            return gettext("The answer was cut where the budget gave no more room.")
        if found.code == "budget_reserved":
            return gettext(
                "Only open calls stood in the way. The same call may fit when they have ended; a "
                "smaller answer (max_tokens) needs less."
            )
        return gettext(
            "It would not have fitted without open calls either. A smaller answer (max_tokens) "
            "needs less; finance can raise the budget, or raise it for a while."
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a request id leads to: a refusal, or a call that no budget stood in the way of."""

    text: str
    row: Row | None = None
    call: UsageRecord | None = None

    @property
    def answer(self) -> str:
        """Say what became of a call that no budget refused."""
        if self.call is None:
            return gettext(
                "There is no call with this id among those you may look at. The id stands in the "
                "header X-Request-ID of every answer."
            )
        state = str(CallState(self.call.state).label)
        if self.call.error_code:
            text = gettext("No budget stood in its way: it is %(state)s, with the code %(code)s.")
            return text % {"state": state, "code": self.call.error_code}
        return gettext("No budget stood in its way: it is %(state)s.") % {"state": state}


def kinds() -> list[tuple[str, str]]:
    """Return what a budget can do to a call, each with its words."""
    return [
        (How.REFUSED, gettext("refused")),
        (How.CUT, gettext("cut short")),
        (How.OBSERVED, gettext("would have been refused")),
    ]


def selection(
    request: OrganizationRequest, structure: Structure, query: QueryDict, *, days: Range
) -> Selection:
    """Return the refusals that are asked for, of those this person may look at."""
    return Selection(
        start=days.starts_at,
        end=days.ends_at,
        budget_id=_id("budget", query),
        cost_center_ids=_centers(request, structure, query),
        api_key_id=_id("key", query),
        api_key_ids=_own_keys(request, structure),
        kind=_kind(query),
    )


def days_of(request: OrganizationRequest, query: QueryDict, *, at: Any) -> Range:
    """Return the days that are asked for."""
    zone = ZoneInfo(request.organization.time_zone)
    return read_range(query, today=calendar.local_day(at, zone), zone=zone)


def rows(request: OrganizationRequest, structure: Structure, found: Iterable[Refusal]) -> list[Row]:
    """Return refusals with the names around them."""
    hidden = hidden_keys(request, structure)
    return [_row(one, structure, hidden) for one in found]


def one(request: OrganizationRequest, structure: Structure, text: str) -> Found | None:
    """Return what a request id leads to; None when none was given."""
    shown = text.strip()[:LONGEST_ID]
    if not shown:
        return None
    try:
        call_id = UUID(shown)
    except ValueError:
        return Found(shown)
    call = _calls(request, structure).filter(pk=call_id).first()
    if call is None or call.refusal is None:
        return Found(shown, call=call)
    hidden = hidden_keys(request, structure)
    return Found(shown, _row(Refusal.of(call), structure, hidden), call)


def hidden_keys(request: OrganizationRequest, structure: Structure) -> set[UUID]:
    """Return the keys that hide amounts from an engineer, as they do from their programs."""
    if access.role_of(request) != roles.ENGINEER:
        return set()
    return {key_id for key_id, held in structure.keys.items() if held.is_amount_hidden}


def table(found: Iterable[Row]) -> Table:
    """Return refusals as rows of a file."""
    amounts = ("limit", "spent", "uncertain", "held", "remaining", "needed", "missing")
    return Table(
        (
            Column("at", gettext("At"), Kind.INSTANT),
            Column("request_id", gettext("Request id")),
            Column("result", gettext("Result")),
            Column("code", gettext("Code")),
            Column("budget", gettext("Budget")),
            Column("budget_id", gettext("Budget id")),
            *(Column(f"{name}_usd", name, Kind.MONEY) for name in amounts),
            Column("ends_at", gettext("Ends"), Kind.INSTANT),
            Column("api_key", gettext("API key")),
            Column("cost_center", gettext("Cost center")),
            Column("user", gettext("User")),
            Column("feature", gettext("Feature")),
            Column("model", gettext("Model")),
        ),
        tuple(
            (
                *(row.refusal.at, str(row.refusal.call_id), row.refusal.kind.value),
                *(row.refusal.code, row.refusal.budget_name, str(row.refusal.budget_id)),
                *(None if row.is_hidden else getattr(row.refusal, name) for name in amounts),
                *(row.refusal.ends_at, row.refusal.api_key_name, row.cost_center),
                *(row.refusal.user_id, row.refusal.feature, row.refusal.model),
            )
            for row in found
        ),
    )


def _row(found: Refusal, structure: Structure, hidden: set[UUID]) -> Row:
    center = structure.centers.get(found.cost_center_id) if found.cost_center_id else None
    return Row(found, center.code if center else "", found.api_key_id in hidden)


def _calls(request: OrganizationRequest, structure: Structure) -> QuerySet[UsageRecord]:
    calls: QuerySet[UsageRecord] = UsageRecord.objects.all()
    own = _own_keys(request, structure)
    if own is not None:
        calls = calls.filter(api_key_id__in=own)
    if access.is_narrowed(request):
        calls = calls.filter(cost_center_id__in=list(structure.centers))
    return calls


def _own_keys(request: OrganizationRequest, structure: Structure) -> list[UUID] | None:
    """Return the keys whose calls an engineer may look at; None: those of all."""
    is_engineer = access.role_of(request) == roles.ENGINEER
    return list(structure.keys) if is_engineer else None


def _centers(
    request: OrganizationRequest, structure: Structure, query: QueryDict
) -> list[UUID] | None:
    chosen = [code for code in query.getlist("cost_center") if code]
    known = {row.code: row.pk for row in structure.centers.values()}
    strange = [code for code in chosen if code not in known]
    if strange:
        raise FilterError(f"cost_center: {strange[0][:40]}")
    if chosen:
        return [known[code] for code in chosen]
    return list(structure.centers) if access.is_narrowed(request) else None


def _kind(query: QueryDict) -> How | None:
    text = query.get("kind", "")
    if text and text not in set(How):
        raise FilterError(f"kind: {text[:40]}")
    return How(text) if text else None


def _id(name: str, query: QueryDict) -> UUID | None:
    text = query.get(name, "")
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise FilterError(f"{name}: {text[:40]}") from error
