"""What the page of a plan shows: counts, totals, rows that change and rows that cannot be taken."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext

from attribution.dashboards.charts import Column, Kind, Table
from budgets.limits import raises
from budgets.limits.models import Budget, PeriodKind, Scope
from budgets.plans import drafts, steps
from budgets.plans.fields import USUAL
from budgets.plans.models import BudgetPlan
from budgets.plans.steps import Action, Step

MANY = 200
SHOWN_OF_NEW = ("covers", "covered", "period", "limit_usd", "enforcement")


@dataclass(frozen=True, slots=True)
class Row:
    """A row that changes something, and how that is told."""

    step: Step
    lines: list[tuple[str, str, str]]
    begins_at: datetime | None
    waits: bool

    @property
    def is_new(self) -> bool:
        """Say whether the row makes a budget."""
        return self.step.action is Action.CREATE


@dataclass(slots=True)
class Page:
    """A plan as people read it before they confirm it."""

    plan: BudgetPlan
    counts: Counter[str] = field(default_factory=Counter)
    rows: list[Row] = field(default_factory=list)
    faulty: list[Step] = field(default_factory=list)
    totals: Table | None = None

    @property
    def to_do(self) -> int:
        """Return how many rows change something."""
        return self.counts[Action.CREATE] + self.counts[Action.REVISE]

    @property
    def is_long(self) -> bool:
        """Say whether calls would notice: a plan holds the policy fence until it is written."""
        return self.to_do > MANY

    @property
    def more(self) -> int:
        """Return how many changes are not shown one by one."""
        return self.to_do - len(self.rows)

    @property
    def faulty_more(self) -> int:
        """Return how many rows with an error are not shown."""
        return self.counts[Action.ERROR] - len(self.faulty)

    @property
    def can_apply(self) -> bool:
        """Say whether there is something to confirm."""
        is_open = self.plan.applied_at is None
        return is_open and self.to_do > 0 and not self.counts[Action.ERROR]


def page(plan: BudgetPlan, *, at: datetime) -> Page:
    """Return what the page of a plan shows."""
    planned = drafts.steps_of(plan)
    changing = [step for step in planned if step.action in {Action.CREATE, Action.REVISE}]
    return Page(
        plan,
        Counter(str(step.action) for step in planned),
        _rows(changing[:MANY], at, is_open=plan.applied_at is None),
        [step for step in planned if step.action is Action.ERROR][:MANY],
        _totals(planned),
    )


def _rows(shown: list[Step], at: datetime, *, is_open: bool) -> list[Row]:
    ids = [UUID(step.budget_id) for step in shown if step.budget_id]
    budgets = Budget.objects.in_bulk(ids) if is_open and raises.allowed() is not None else {}
    return [
        Row(
            step,
            _lines(step),
            datetime.fromisoformat(step.begins_at) if step.begins_at else None,
            _waits(step, budgets, at),
        )
        for step in shown
    ]


def _lines(step: Step) -> list[tuple[str, str, str]]:
    if step.action is Action.REVISE:
        return step.changed
    stated = [(name, "", value) for name, value in step.after.items() if value != USUAL[name]]
    told = [(name, "", step.after[name]) for name in SHOWN_OF_NEW if step.after[name]]
    rest = [line for line in stated if line[0] not in {"name", *SHOWN_OF_NEW}]
    return told + rest


def _waits(step: Step, budgets: dict[UUID, Budget], at: datetime) -> bool:
    budget = budgets.get(UUID(step.budget_id)) if step.budget_id else None
    amount = Decimal(step.after["limit_usd"])
    is_changed = step.before is not None and step.before["limit_usd"] != step.after["limit_usd"]
    return budget is not None and is_changed and raises.needs_approval(budget, amount, at=at)


def _totals(planned: Iterable[Step]) -> Table | None:
    """Return the sums of limits before and after, by what budgets cover and how often they begin."""
    rows: list[tuple[Any, ...]] = [
        (Scope(scope).label, PeriodKind(period).label, was, old, now, new, new - old)
        for (scope, period), (was, old, now, new) in sorted(steps.totals(planned).items())
    ]
    columns = (
        Column("covers", gettext("Covers")),
        Column("period", gettext("Period")),
        Column("budgets_before", gettext("Budgets before"), Kind.COUNT),
        Column("limits_before", gettext("Limits before (USD)"), Kind.MONEY),
        Column("budgets_after", gettext("Budgets after"), Kind.COUNT),
        Column("limits_after", gettext("Limits after (USD)"), Kind.MONEY),
        Column("difference", gettext("Difference (USD)"), Kind.MONEY),
    )
    return Table(columns, tuple(rows)) if rows else None
