"""Re-rating: what it would change, previewed; then booked as reversals and new entries, page by page."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from attribution import money
from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.tenancy.models import CostCenter, Organization
from attribution.usage.models import CallState, CostSource, UsageRecord
from budgets.limits.models import BudgetPeriod
from budgets.reservations.models import Reservation
from budgets.reservations.repricing import Correction, Desk, month_of

PAGE = 500  # calls of one transaction: admissions wait for their periods meanwhile
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls; those of shut months are counted and stay as they are."""

    start: datetime
    end: datetime
    provider: str = ""
    model: str = ""  # as it was billed
    is_unpriced_only: bool = False

    def calls(self, *, after: UUID | None = None) -> QuerySet[UsageRecord]:
        """Return the settled calls that we priced or could not price, in the order of their ids."""
        # what a provider stated is its own truth
        sources = ["", CostSource.USAGE, CostSource.COUNT]
        chosen: QuerySet[UsageRecord] = UsageRecord.objects.between(self.start, self.end).filter(
            state=CallState.SETTLED, cost_source__in=sources
        )
        if self.provider:
            chosen = chosen.filter(provider=self.provider)
        if self.model:
            chosen = chosen.filter(Q(model_billed=self.model) | Q(model_requested=self.model))
        if self.is_unpriced_only:
            chosen = chosen.filter(cost=None)
        if after is not None:
            chosen = chosen.filter(id__gt=after)
        return chosen.order_by("id")


@dataclass(slots=True)
class Figures:
    """Sums over corrections; `unpriced` of the calls had no cost before."""

    calls: int = 0
    unpriced: int = 0
    tokens: int = 0
    was: Decimal = NOTHING
    cost: Decimal = NOTHING

    @property
    def delta(self) -> Decimal:
        """Return by how much the cost changes."""
        return money.EXACT.subtract(self.cost, self.was)

    def add(self, correction: Correction) -> None:
        """Count one more."""
        self.calls += 1
        self.unpriced += correction.call.cost is None
        self.tokens += sum(correction.call.tokens.values())
        self.was = money.EXACT.add(self.was, correction.call.cost or NOTHING)
        self.cost = money.EXACT.add(self.cost, correction.cost.total)

    def merge(self, other: "Figures") -> None:
        """Count what others counted."""
        self.calls += other.calls
        self.unpriced += other.unpriced
        self.tokens += other.tokens
        self.was = money.EXACT.add(self.was, other.was)
        self.cost = money.EXACT.add(self.cost, other.cost)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A budget period by the name of its budget."""

    name: str
    starts_at: datetime
    ends_at: datetime


@dataclass(slots=True)
class Preview:
    """What a re-rating would change, or has changed; `kept` counts by reason what stays as it is."""

    total: Figures = field(default_factory=Figures)
    by_cost_center: dict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    by_period: dict[Place, Figures] = field(default_factory=lambda: defaultdict(Figures))
    by_month: dict[date, Figures] = field(default_factory=lambda: defaultdict(Figures))
    kept: Counter[str] = field(default_factory=Counter)
    is_partial: bool = False


def preview(selection: Selection, *, most: int | None = None) -> Preview:
    """Return what re-rating the selected calls would change; writes nothing.

    `most` ends it after so many calls: then `is_partial` says that there are more.
    """
    found, seen = Preview(), 0
    after: UUID | None = None
    while page := list(selection.calls(after=after)[:PAGE]):
        if most is not None and seen >= most:
            found.is_partial = True
            break
        _summarize(found, _corrections(page, selection, found.kept))
        after, seen = page[-1].pk, seen + len(page)
    return found


def apply(
    selection: Selection, *, by: Actor, reason: str, after: UUID | None
) -> tuple[Preview, UUID | None]:
    """Re-rate the next page of calls after `after`; return what was done and where to go on, if any.

    One transaction: the caller's. Books reversals and new entries, moves the spent of the calls'
    budget periods, raises alerts. Doing it again changes nothing. Locks as budgets_rerate does.
    """
    done = Preview()
    page = list(selection.calls(after=after)[:PAGE])
    corrections = _corrections(page, selection, done.kept)
    if corrections:
        booked = _book(corrections, by=by, reason=reason)
        _summarize(done, [one for one in corrections if one.call.pk in booked])
        _audit(done.total, by=by, reason=reason)
    return done, page[-1].pk if len(page) == PAGE else None


def _corrections(
    calls: Sequence[UsageRecord], selection: Selection, kept: Counter[str]
) -> list[Correction]:
    """Return the calls whose price is another one now; count the others by reason."""
    desk = Desk(calls, start=selection.start, end=selection.end)
    corrections = []
    for call in calls:
        answer = desk.correction(call)
        if isinstance(answer, Correction):
            corrections.append(answer)
        else:
            kept[answer] += 1
    return corrections


def _summarize(preview: Preview, corrections: Sequence[Correction]) -> None:
    codes = dict(CostCenter.objects.values_list("pk", "code"))
    places = _places([one.call.pk for one in corrections])
    for one in corrections:
        center = one.call.cost_center_id
        preview.total.add(one)
        preview.by_month[month_of(one.call)].add(one)
        preview.by_cost_center[codes.get(center, "") if center else ""].add(one)
        for place in places.get(one.call.pk, ()):
            preview.by_period[place].add(one)


def _places(ids: list[UUID]) -> dict[UUID, list[Place]]:
    """Return the budget periods that count each call; ids in ascending order."""
    if not ids:
        return {}
    held = Reservation.objects.filter(
        usage_id__in=ids, usage_id__gte=ids[0], usage_id__lte=ids[-1]
    ).values_list("usage_id", "budget_period_id")
    rows = BudgetPeriod.objects.filter(pk__in={period for _, period in held})
    columns = rows.values_list("pk", "budget__name", "starts_at", "ends_at")
    known = {pk: Place(name, starts, ends) for pk, name, starts, ends in columns}
    found: dict[UUID, list[Place]] = defaultdict(list)
    for call, period in held:
        found[call].append(known[period])
    return found


def _book(corrections: Sequence[Correction], *, by: Actor, reason: str) -> set[UUID]:
    """Book the corrections; return the calls that were changed."""
    argument = {
        "organization_id": str(required()),
        "reason": reason,
        "actor_id": str(by.id) if by.id else None,
        "calls": [one.as_dict() for one in corrections],
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT call_id FROM budgets_rerate(%s::jsonb) WHERE outcome = 'done'",
            [json.dumps(argument)],
        )
        return {row[0] for row in cursor.fetchall()}


def _audit(total: Figures, *, by: Actor, reason: str) -> None:
    organization = Organization.objects.get(pk=required())
    after: dict[str, str | None] = {
        "calls": str(total.calls),
        "unpriced": str(total.unpriced),
        "was_usd": money.text(total.was),
        "cost_usd": money.text(total.cost),
        "reason": reason,
    }
    trail.append("calls.rerated", by=by, on=organization, after=after)
