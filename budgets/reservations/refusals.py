"""Who was refused, by which budget, with its figures at that moment; reads only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from django.db.models import Case, CharField, Count, Max, Q, QuerySet, Value, When
from django.db.models.fields.json import KT

from attribution import money
from attribution.usage.models import CallState, UsageRecord

STOPPED = ("budget_exceeded", "budget_reserved")


class Kind(StrEnum):
    """What a budget did to a call: stopped it, cut its answer, or would have stopped it."""

    REFUSED = "refused"
    CUT = "cut"  # an elastic budget gave no more room while the answer came
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose refusals: of a half-open range, of all budgets, cost centers and keys or of some."""

    start: datetime
    end: datetime
    budget_id: UUID | None = None
    cost_center_ids: Sequence[UUID] | None = None
    api_key_id: UUID | None = None
    api_key_ids: Sequence[UUID] | None = None
    kind: Kind | None = None

    def calls(self) -> QuerySet[UsageRecord]:
        """Return the calls, found by the index on calls with a refusal."""
        found: QuerySet[UsageRecord] = UsageRecord.objects.between(self.start, self.end)
        found = found.filter(refusal__isnull=False)
        if self.budget_id is not None:
            found = found.filter(refusal__id=str(self.budget_id))
        if self.cost_center_ids is not None:
            found = found.filter(cost_center_id__in=self.cost_center_ids)
        if self.api_key_id is not None:
            found = found.filter(api_key_id=self.api_key_id)
        if self.api_key_ids is not None:
            found = found.filter(api_key_id__in=self.api_key_ids)
        return found if self.kind is None else found.filter(_IS_KIND[self.kind])


@dataclass(frozen=True, slots=True)
class Refusal:
    """One call and the budget in its way, with the arithmetic of that moment."""

    call_id: UUID
    at: datetime
    kind: Kind
    code: str  # what the client was told; empty when it was only observed
    budget_id: UUID
    budget_name: str
    period_id: int
    ends_at: datetime
    limit: Decimal
    spent: Decimal
    held: Decimal
    uncertain: Decimal
    needed: Decimal
    api_key_id: UUID | None
    api_key_name: str
    cost_center_id: UUID | None
    user_id: str
    feature: str
    environment: str
    model: str
    provider: str

    @classmethod
    def of(cls, call: UsageRecord) -> Self:
        """Read what a call was refused with."""
        said: dict[str, Any] = call.refusal or {}
        kind = _kind(call)
        return cls(
            call_id=call.pk,
            at=call.occurred_at,
            kind=kind,
            code="" if kind is Kind.OBSERVED else call.error_code,
            budget_id=UUID(said["id"]),
            budget_name=said["name"],
            period_id=said["period_id"],
            ends_at=datetime.fromisoformat(said["ends_at"]),
            **{
                name: Decimal(said[name])
                for name in ("limit", "spent", "held", "uncertain", "needed")
            },
            api_key_id=call.api_key_id,
            api_key_name=call.api_key_name,
            cost_center_id=call.cost_center_id,
            user_id=call.user_id,
            feature=call.feature,
            environment=call.environment,
            model=call.model_requested,
            provider=call.provider,
        )

    @property
    def remaining(self) -> Decimal:
        """Return what calls could still hold at that moment."""
        return money.EXACT.subtract(self.limit, self.spent + self.held + self.uncertain)

    @property
    def missing(self) -> Decimal:
        """Return how much too little that was."""
        return money.EXACT.subtract(self.needed, self.remaining)


@dataclass(frozen=True, slots=True)
class Page:
    """Refusals, the newest first; `before` leads to older ones, None at the end."""

    rows: Sequence[Refusal]
    before: UUID | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How often one budget stood in the way."""

    budget_id: UUID
    budget_name: str  # as it was called the last time
    refused: int
    cut: int
    observed: int
    last_at: datetime


def page(selection: Selection, *, before: UUID | None = None, limit: int = 50) -> Page:
    """Return the newest refusals of a selection, older than the call `before`."""
    calls = selection.calls().order_by("-id")
    if before is not None:
        calls = calls.filter(id__lt=before)
    rows = list(calls[: limit + 1])
    following = rows[limit - 1].pk if len(rows) > limit else None
    return Page([Refusal.of(call) for call in rows[:limit]], following)


def tallies(selection: Selection) -> list[Tally]:
    """Count a selection by budget, the one that refused most first."""
    rows = (
        selection.calls()
        .order_by()
        .annotate(budget=KT("refusal__id"), kind=_KIND)
        .values("budget", "kind")
        .annotate(calls=Count("id"), last_at=Max("occurred_at"), last_name=Max(KT("refusal__name")))
    )
    by_budget: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_budget[row["budget"]].append(row)
    found = [_tally(UUID(budget), counted) for budget, counted in by_budget.items()]
    return sorted(found, key=lambda one: (-one.refused, -one.cut, -one.observed, one.budget_name))


def _tally(budget_id: UUID, rows: Sequence[Mapping[str, Any]]) -> Tally:
    latest = max(rows, key=lambda row: row["last_at"])
    calls = {row["kind"]: row["calls"] for row in rows}
    counts = {kind.value: calls.get(kind.value, 0) for kind in Kind}
    return Tally(budget_id, latest["last_name"], last_at=latest["last_at"], **counts)


def _kind(call: UsageRecord) -> Kind:
    if call.state == CallState.DENIED:
        return Kind.REFUSED
    return Kind.CUT if call.error_code in STOPPED else Kind.OBSERVED


_IS_KIND = {
    Kind.REFUSED: Q(state=CallState.DENIED),
    Kind.CUT: ~Q(state=CallState.DENIED) & Q(error_code__in=STOPPED),
    Kind.OBSERVED: ~Q(state=CallState.DENIED) & ~Q(error_code__in=STOPPED),
}
_KIND = Case(
    *(When(condition, then=Value(kind.value)) for kind, condition in _IS_KIND.items()),
    output_field=CharField(),
)
