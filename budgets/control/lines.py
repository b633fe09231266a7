"""Budgets as the list, the tree and the file show them: each with how it stands and what is expected."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext, gettext_lazy

from attribution.templatetags.tollkeeper import unknown
from budgets.alerts import states
from budgets.control.asked import Asked
from budgets.control.bullets import Bullet
from budgets.control.structure import Structure
from budgets.forecasts import outlooks
from budgets.forecasts.outlooks import Outlook
from budgets.limits.elastic import STEP
from budgets.limits.models import Basis, Budget, Enforcement, PeriodKind, Scope, Threshold, Unit
from budgets.limits.standing import Standing

ZERO = Decimal(0)
FULL = Decimal(1)
HUNDRED = Decimal(100)
DAY = timedelta(days=1)
LEVELS = {"ok": "good", "no_data": "none", "warning": "warn", "alert": "bad"}
WORDS = {
    states.OK: gettext_lazy("OK"),
    states.NO_DATA: gettext_lazy("no data"),
    states.WARNING: gettext_lazy("warning"),
    states.ALERT: gettext_lazy("used up"),
}
PARTS = {"carried": gettext_lazy("carried over"), "raised": gettext_lazy("raised by")}
RANKS = {name: n for n, name in enumerate(states.STATES)}


@dataclass(frozen=True, slots=True)
class Part:
    """What the limit of a period has more or less than its version says."""

    label: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Line:
    """One budget in the period that is looked at; without a standing: it has no such period."""

    budget: Budget
    place: str
    thresholds: tuple[Threshold, ...] = ()
    outlook: Outlook | None = None

    @property
    def standing(self) -> Standing | None:
        """Return how the budget stands in its period; None: it has none then."""
        return self.outlook.standing if self.outlook else None

    @property
    def state(self) -> str:
        """Return the state: ok, no_data, warning or alert; nothing without a period."""
        return self.outlook.state if self.outlook else ""

    @property
    def parts(self) -> list[Part]:
        """Return what the limit of the period has besides its newest version."""
        now = self.standing
        found = [("carried", now.carried), ("raised", now.raised)] if now else []
        return [Part(str(PARTS[name]), amount) for name, amount in found if amount]

    @property
    def scope_name(self) -> str:
        """Return what kind of thing the budget covers, as a word."""
        return str(Scope(self.budget.scope).label)

    @property
    def period_name(self) -> str:
        """Return how often the budget starts anew, as a word."""
        return str(PeriodKind(self.budget.period).label)

    @property
    def enforcement(self) -> str:
        """Return what the budget does at its limit, as a word."""
        return str(self._mode.label)

    @property
    def elastic_tokens(self) -> int | None:
        """Return by how many output tokens each stream may pass an elastic limit; None for others."""
        return STEP if self._mode == Enforcement.ELASTIC else None

    @property
    def _mode(self) -> Enforcement:
        mode = self.standing.enforcement if self.standing else self.budget.enforcement
        return Enforcement(mode)

    @property
    def filters(self) -> list[str]:
        """Return what a call must match besides, a word each."""
        return [str(value) for values in self.budget.filters.values() for value in values]

    @property
    def share(self) -> Decimal | None:
        """Return what is used of the limit."""
        return self.standing.utilisation if self.standing else None

    @property
    def unforeseen(self) -> str:
        """Say why there is no forecast: a dash with its reason."""
        return unknown(gettext("A forecast needs 3 complete days of use."))

    @property
    def level(self) -> str:
        """Return which colour and icon the state has: good, warn, bad or none."""
        return LEVELS.get(self.state, "none")

    @property
    def word(self) -> str:
        """Return the state as a word."""
        return str(WORDS[self.state]) if self.state else gettext("not running")

    @property
    def bullet(self) -> Bullet | None:
        """Return the bar."""
        now = self.standing
        if now is None:
            return None
        ticks = (amount_of(one, now.limit) for one in self.thresholds if one.basis == Basis.ACTUAL)
        return Bullet(
            *(now.limit, now.spent, now.held, now.uncertain, tuple(ticks)), *self._expected
        )

    @property
    def _expected(self) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        shown = self.outlook
        return (shown.p50, shown.p10, shown.p90) if shown else (None, None, None)

    def days_left(self, at: datetime) -> int:
        """Return how many days of the period remain, the running one included."""
        return max(0, -((at - self.standing.ends_at) // DAY)) if self.standing else 0


def amount_of(threshold: Threshold, limit: Decimal) -> Decimal:
    """Return a threshold as an amount."""
    return limit * threshold.value / HUNDRED if threshold.unit == Unit.PERCENT else threshold.value


def read(rows: QuerySet[Budget], structure: Structure, asked: Asked, *, at: datetime) -> list[Line]:
    """Return the budgets that are asked for, in the order asked for."""
    found = of(list(chosen(rows, structure, asked, at=at)), structure, at=at)
    lines = [line for line in found if not asked.state or line.state == asked.state]
    return ordered(lines, asked.sort)


def chosen(
    rows: QuerySet[Budget], structure: Structure, asked: Asked, *, at: datetime
) -> QuerySet[Budget]:
    """Return the budgets that the filters leave; those that ended before `at` are history."""
    rows = rows.filter(Q(archived_at=None) | Q(archived_at__gt=at))
    if asked.scope:
        rows = rows.filter(scope=asked.scope)
    if asked.enforcement:
        rows = rows.filter(enforcement=asked.enforcement)
    if asked.search:
        rows = rows.filter(name__icontains=asked.search)
    if asked.department_id:
        rows = rows.filter(_in_department(asked.department_id, structure))
    if asked.centers:
        rows = rows.filter(_in_centers(set(asked.centers.values()), structure))
    return rows


def of(budgets: Sequence[Budget], structure: Structure, *, at: datetime) -> list[Line]:
    """Return budgets with how they stand at an instant, in a fixed number of queries."""
    ids = [budget.pk for budget in budgets]
    found = outlooks.of(ids, at=at)
    thresholds = _thresholds(ids)
    return [
        Line(budget, structure.place(budget), thresholds.get(budget.pk, ()), found.get(budget.pk))
        for budget in budgets
    ]


def ordered(lines: Iterable[Line], sort: str) -> list[Line]:
    """Return lines in an order; what is unknown comes last, whichever way."""
    name = sort.removeprefix("-")
    key = KEYS[name]
    by_name = sorted(lines, key=lambda line: line.budget.name.casefold())
    known = [line for line in by_name if key(line) is not None]
    unknown = [line for line in by_name if key(line) is None]
    return sorted(known, key=key, reverse=sort.startswith("-")) + unknown


def added(lines: Sequence[Line], structure: Structure) -> Standing | None:
    """Return the sum of budgets that do not lie in each other and end together; None: not a sum."""
    standings = [line.standing for line in lines if line.standing]
    if len(standings) < 2 or not _is_disjoint(lines, structure):
        return None
    first = standings[0]
    if any((s.starts_at, s.ends_at) != (first.starts_at, first.ends_at) for s in standings):
        return None
    amounts = {name: sum((getattr(s, name) for s in standings), start=ZERO) for name in AMOUNTS}
    return Standing(**{**{name: getattr(first, name) for name in first.__slots__}, **amounts})


AMOUNTS = ("limit", "spent", "held", "uncertain")


def _is_disjoint(lines: Sequence[Line], structure: Structure) -> bool:
    """Say whether no call can count in two of the budgets."""
    covered = [(line.budget.scope, line.budget.scope_id, line.budget.scope_value) for line in lines]
    if len({scope for scope, _, _ in covered}) > 1 or len(set(covered)) < len(covered):
        return False
    if covered[0][0] != Scope.DEPARTMENT:
        return True
    tops = {row_id for _, row_id, _ in covered if row_id}
    return not any(tops & set(structure.above(top)[1:]) for top in tops)


def _thresholds(budget_ids: Iterable[UUID]) -> dict[UUID, tuple[Threshold, ...]]:
    rows = Threshold.objects.filter(budget_id__in=list(budget_ids))
    found: dict[UUID, tuple[Threshold, ...]] = {}
    for one in rows.order_by("basis", "unit", "value"):
        found[one.budget_id] = (*found.get(one.budget_id, ()), one)
    return found


def _in_department(top: UUID, structure: Structure) -> Q:
    inside = structure.below(top)
    rows = structure.centers.values()
    centers = {row.pk for row in rows if row.department_id in inside}
    return Q(scope=Scope.DEPARTMENT, scope_id__in=inside) | _in_centers(centers, structure)


def _in_centers(centers: set[UUID], structure: Structure) -> Q:
    keys = [key_id for key_id in structure.keys if structure.home_of(key_id) in centers]
    covered = Q(scope=Scope.COST_CENTER, scope_id__in=centers)
    return covered | Q(scope=Scope.API_KEY, scope_id__in=keys)


def _amount(name: str) -> Callable[[Line], Any]:
    return lambda line: getattr(line.standing, name) if line.standing else None


KEYS: dict[str, Callable[[Line], Any]] = {
    "name": lambda line: line.budget.name.casefold(),
    "limit": _amount("limit"),
    "spent": _amount("spent"),
    "remaining": _amount("remaining"),
    "used": lambda line: (
        None if line.standing is None else FULL if line.share is None else line.share
    ),
    "forecast": lambda line: line.outlook.p50 if line.outlook else None,
    "out": lambda line: line.outlook.exhausted_on if line.outlook else None,
    "state": lambda line: RANKS[line.state] if line.state else None,
}
