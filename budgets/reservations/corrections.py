"""A settled call's later truth: re-rating at the price that was in force then, previewed, then booked."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from attribution import money
from attribution.audit import trail
from attribution.audit.trail import Actor
from attribution.isolation.transaction import required
from attribution.prices import pricing
from attribution.prices.book import PriceBook
from attribution.prices.models import Price
from attribution.prices.pricing import Card, Cost, DatedCard
from attribution.prices.tokens import Tokens
from attribution.tenancy.models import CostCenter, Organization
from attribution.usage.models import CallState, CostSource, UsageRecord
from budgets.limits.models import BudgetPeriod
from budgets.reservations.models import Reservation

PAGE = 1_000  # calls of one transaction
ONE = Decimal(1)
NOTHING = Decimal(0)

Multipliers = Mapping[UUID, Decimal]  # of upstreams: a discount or markup on every rate


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls: those of open months only, as their caller answers for."""

    start: datetime
    end: datetime
    provider: str = ""
    model: str = ""  # as it was billed
    is_unpriced_only: bool = False

    def calls(self, *, after: UUID | None = None) -> QuerySet[UsageRecord]:
        """Return the settled calls that we priced or could not price, in the order of their ids."""
        sources = [
            "",
            CostSource.USAGE,
            CostSource.COUNT,
        ]  # what a provider stated is its own truth
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


@dataclass(frozen=True, slots=True)
class Correction:
    """One call and what it should have cost."""

    call: UsageRecord
    price_version: int
    cost: Cost

    def as_dict(self) -> dict[str, Any]:
        """Write what budgets_rerate reads; a call without tokens still has an entry."""
        none = {"token_class": "", "quantity": 0, "usd_amount": "0"}
        was = self.call.cost
        return {
            "id": str(self.call.pk),
            "was_cost": None if was is None else money.text(was),
            "cost": money.text(self.cost.total),
            "price_version": self.price_version,
            "lines": [line.as_dict() for line in self.cost.lines] or [none],
        }


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


@dataclass(slots=True)
class Preview:
    """What a re-rating would change, or has changed; `kept` counts by reason what stays as it is."""

    total: Figures = field(default_factory=Figures)
    by_cost_center: dict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    by_budget: dict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    kept: Counter[str] = field(default_factory=Counter)


def preview(selection: Selection, *, multipliers: Multipliers) -> Preview:
    """Return what re-rating the selected calls would change; writes nothing."""
    found = Preview()
    after: UUID | None = None
    while page := list(selection.calls(after=after)[:PAGE]):
        _summarize(found, _corrections(page, selection, multipliers, found.kept))
        after = page[-1].pk
    return found


def apply(
    selection: Selection, *, multipliers: Multipliers, by: Actor, reason: str, after: UUID | None
) -> tuple[Preview, UUID | None]:
    """Re-rate the next page of calls after `after`; return what was done and where to go on.

    One transaction: the caller's. Books reversals and new entries, moves the spent of the calls'
    budget periods, raises alerts. Doing it again changes nothing. Locks as budgets_rerate does.
    """
    done = Preview()
    page = list(selection.calls(after=after)[:PAGE])
    corrections = _corrections(page, selection, multipliers, done.kept)
    if corrections:
        booked = _book(corrections, by=by, reason=reason)
        _summarize(done, [one for one in corrections if one.call.pk in booked])
        _audit(done.total, by=by, reason=reason)
    return done, page[-1].pk if page else None


def _corrections(
    calls: Sequence[UsageRecord],
    selection: Selection,
    multipliers: Multipliers,
    kept: Counter[str],
) -> list[Correction]:
    """Return the calls whose price is another one now; count the others by reason."""
    desk = _Desk(calls, selection, multipliers)
    corrections = []
    for call in calls:
        answer = desk.correction(call)
        if isinstance(answer, Correction):
            corrections.append(answer)
        else:
            kept[answer] += 1
    return corrections


class _Desk:
    """The prices in force at the time of some calls, and those that they were priced at."""

    def __init__(
        self, calls: Sequence[UsageRecord], selection: Selection, multipliers: Multipliers
    ) -> None:
        self._book = PriceBook.between(selection.start, selection.end)
        self._multipliers = multipliers
        versions = {call.price_version for call in calls if call.price_version is not None}
        self._versions = {row.pk: row for row in Price.objects.visible().filter(pk__in=versions)}

    def correction(self, call: UsageRecord) -> Correction | str:
        """Return what a call should have cost, or why it stays as it is."""
        if (call.usage or {}).get("unpriceable"):
            return "unpriceable"
        old = self._versions.get(call.price_version or 0)
        new = self._in_force(call, old)
        if new is None:
            return "no price"
        if old is not None and new.version == old.pk:
            return "unchanged"
        if old is not None and not self._is_reproduced(call, Card.from_dict(old.rates)):
            return "other terms"  # a multiplier that changed since, a count cut at its hold
        cost = self._cost(call, new.card)
        if cost is None:
            return "no price"
        return Correction(call, new.version, cost)

    def _in_force(self, call: UsageRecord, old: Price | None) -> DatedCard | None:
        """Return the price of the model that a call was priced as, else of the one it names."""
        if old is not None:
            return self._book.find(old.model, old.provider, call.occurred_at)
        for name in dict.fromkeys((call.model_billed, call.model_requested)):
            found = self._book.find(name, call.provider, call.occurred_at) if name else None
            if found is not None:
                return found
        return None

    def _is_reproduced(self, call: UsageRecord, card: Card) -> bool:
        """Say whether today's terms give the cost that was booked: then only the price is new."""
        cost = self._cost(call, card)
        return (cost.total if cost else None) == call.cost

    def _cost(self, call: UsageRecord, card: Card) -> Cost | None:
        tokens = Tokens.from_mapping(call.tokens)
        rates = pricing.rates_for(card, tokens, at=call.occurred_at, service_tier=call.service_tier)
        multiplier = self._multipliers.get(call.upstream_id, ONE) if call.upstream_id else ONE
        if rates is not None and multiplier != 1:
            rates = rates.multiplied(multiplier)
        return pricing.cost(tokens, rates, searches=(call.usage or {}).get("searches", 0))


def _summarize(preview: Preview, corrections: Sequence[Correction]) -> None:
    codes = dict(CostCenter.objects.values_list("pk", "code"))
    budgets = _budgets([one.call.pk for one in corrections])
    for one in corrections:
        center = one.call.cost_center_id
        preview.total.add(one)
        preview.by_cost_center[codes.get(center, "") if center else ""].add(one)
        for name in budgets.get(one.call.pk, ()):
            preview.by_budget[name].add(one)


def _budgets(ids: list[UUID]) -> dict[UUID, list[str]]:
    """Return the names of the budgets that count each call; ids in ascending order."""
    if not ids:
        return {}
    places = Reservation.objects.filter(
        usage_id__in=ids, usage_id__gte=ids[0], usage_id__lte=ids[-1]
    ).values_list("usage_id", "budget_period_id")
    names = dict(
        BudgetPeriod.objects.filter(pk__in={period for _, period in places}).values_list(
            "pk", "budget__name"
        )
    )
    found: dict[UUID, list[str]] = defaultdict(list)
    for call, period in places:
        found[call].append(names[period])
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
