"""A budget as the words of a sheet, and the words of a sheet as a budget."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Case, F, Q, When
from django.db.models.functions import Greatest, Now

from attribution import money
from attribution.tenancy.models import User
from budgets.limits import revisions
from budgets.limits.amounts import LimitVersion, VersionKind
from budgets.limits.models import Budget, CapUnit, Scope, Threshold
from budgets.plans import points
from budgets.plans.fields import LISTS, USUAL, Facts, cap_of

CALENDAR = ("starts_on", "ends_on", "start_month", "week_start", "pattern", "anchor")
NUMBERS = frozenset({"start_month", "week_start"})

Named = Mapping[str, Iterable[tuple[UUID, str]]]


@dataclass(frozen=True, slots=True)
class Known:
    """What the organization has, by the words that sheets use for it."""

    by_word: Mapping[str, Mapping[str, UUID]]
    by_id: Mapping[UUID, str]
    people: Mapping[str, UUID]
    twice: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ids: Mapping[str, frozenset[UUID]] = field(default_factory=dict)

    def word(self, budget: Budget) -> str:
        """Return how a sheet calls what a budget covers; by its id where the name says two things."""
        if budget.scope_id is None:
            return budget.scope_value
        return self.by_id.get(budget.scope_id, str(budget.scope_id))


def known(named: Named) -> Known:
    """Return what may be named in sheets: what budgets cover, by scope, and the people."""
    rows = {scope: list(found) for scope, found in named.items()}
    counted = {scope: Counter(word for _id, word in found) for scope, found in rows.items()}
    twice = {
        scope: frozenset(word for word, number in counts.items() if number > 1)
        for scope, counts in counted.items()
    }
    single = {
        scope: [(row_id, word) for row_id, word in found if word not in twice[scope]]
        for scope, found in rows.items()
    }
    members = User.objects.filter(memberships__isnull=False, memberships__is_active=True)
    return Known(
        {scope: {word: row_id for row_id, word in found} for scope, found in single.items()},
        {row_id: word for found in single.values() for row_id, word in found},
        dict(members.values_list("email", "pk")),
        twice,
        {scope: frozenset(row_id for row_id, _word in found) for scope, found in rows.items()},
    )


def facts_of(budgets: Iterable[Budget], names: Known) -> dict[UUID, Facts]:
    """Return every budget as a row of a sheet, with a fixed number of queries."""
    rows = list(budgets)
    in_force = limits(row.pk for row in rows)
    people = {row_id: address for address, row_id in names.people.items()}
    told: dict[UUID, list[points.Point]] = defaultdict(list)
    for threshold in Threshold.objects.filter(budget__in=[row.pk for row in rows]):
        told[threshold.budget_id].append(points.point_of(threshold))
    return {
        row.pk: {
            **_columns(row, names, people),
            "limit_usd": money.text(in_force[row.pk]) if row.pk in in_force else "",
            "thresholds": points.written(told[row.pk]),
        }
        for row in rows
    }


def limits(budget_ids: Iterable[UUID]) -> dict[UUID, Decimal]:
    """Return the limit in force now of each budget, as `revisions.limit_of` does of one."""
    versions = LimitVersion.objects.filter(budget__in=list(budget_ids))
    is_due = Q(effective_at__lte=Now())
    is_set = Q(effective_at__lte=F("created_at") + revisions.SKEW)
    ranked = (
        versions.exclude(kind=VersionKind.ESTIMATE)
        .annotate(
            is_on=Case(When(is_due | is_set, then=1), default=0),
            since=Greatest("effective_at", "created_at"),
        )
        .order_by("budget_id", "-is_on", F("since").desc())
        .distinct("budget_id")
    )
    return dict(ranked.values_list("budget_id", "amount"))


def fill(budget: Budget, facts: Facts, names: Known) -> None:
    """Give a budget what a row says, but for its limit and its thresholds."""
    budget.name, budget.period = facts["name"], facts["period"]
    budget.scope = facts["covers"]
    is_user = budget.scope == Scope.USER
    budget.scope_value = facts["covered"] if is_user else ""
    budget.scope_id = None if is_user else covered_id(facts, names)
    budget.calendar = {
        name: int(facts[name]) if name in NUMBERS else facts[name]
        for name in CALENDAR
        if facts[name]
    }
    budget.time_zone = facts["time_zone"]
    budget.filters = {name: facts[name].split("; ") for name in LISTS if facts[name]}
    budget.enforcement = facts["enforcement"]
    budget.wait_ms, budget.is_clamped = int(facts["wait_ms"]), facts["shorten"] == "yes"
    budget.owner_id = names.people.get(facts["owner"])
    budget.approver_id = names.people.get(facts["approver"])
    budget.rollover = facts["carry"]
    budget.rollover_cap, budget.rollover_cap_unit = cap_of(facts["carry_at_most"])


def covered_id(facts: Facts, names: Known) -> UUID | None:
    """Return the id of what a row covers; None where there is none, or where the word is unknown."""
    word = facts["covered"]
    found = names.by_word.get(facts["covers"], {}).get(word)
    if found is not None or not word:
        return found
    try:
        return UUID(word)
    except ValueError:
        return None


def _columns(budget: Budget, names: Known, people: Mapping[UUID, str]) -> Facts:
    calendar: Mapping[str, Any] = budget.calendar
    chosen: Mapping[str, list[str]] = budget.filters
    return {
        **USUAL,
        "name": budget.name,
        "covers": budget.scope,
        "covered": names.word(budget),
        "period": budget.period,
        **{name: str(calendar[name]) for name in CALENDAR if calendar.get(name) not in {None, ""}},
        "time_zone": budget.time_zone,
        "enforcement": budget.enforcement,
        "wait_ms": str(budget.wait_ms),
        "shorten": "yes" if budget.is_clamped else "no",
        "owner": _address(budget.owner_id, people),
        "approver": _address(budget.approver_id, people),
        "carry": budget.rollover,
        "carry_at_most": _cap(budget),
        **{name: "; ".join(sorted(chosen[name])) for name in LISTS if chosen.get(name)},
    }


def _address(person_id: UUID | None, people: Mapping[UUID, str]) -> str:
    return people.get(person_id, "") if person_id else ""


def _cap(budget: Budget) -> str:
    if budget.rollover_cap is None:
        return ""
    number = money.text(budget.rollover_cap)
    return f"{number}%" if budget.rollover_cap_unit == CapUnit.PERCENT else f"{number} USD"
