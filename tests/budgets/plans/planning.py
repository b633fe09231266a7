"""What the tests of plans share: rows of sheets, and who acts."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.utils import timezone

from attribution.audit.trail import Actor
from attribution.imports.workbooks import Line
from attribution.tenancy.models import CostCenter, Department
from budgets.limits.models import Budget, Scope
from budgets.plans import drafts, facts, steps
from budgets.plans.drafts import Applied
from budgets.plans.facts import Known
from budgets.plans.models import BudgetPlan, PlanKind
from budgets.plans.steps import Step
from tests.cast import Cast

Rows = Sequence[Mapping[str, str | Decimal]]


def names() -> Known:
    """Return what sheets of the organization may name."""
    centers = CostCenter.objects.values_list("pk", "code")
    departments = Department.objects.values_list("pk", "name")
    return facts.known({Scope.COST_CENTER: centers, Scope.DEPARTMENT: departments})


def lines(rows: Rows) -> list[Line]:
    """Return rows as the lines of a sheet under one heading."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    heading = Line(1, dict(enumerate(columns)))
    return [
        heading,
        *(
            Line(number, {columns.index(name): value for name, value in row.items() if value != ""})
            for number, row in enumerate(rows, start=2)
        ),
    ]


def previewed(*rows: Mapping[str, str | Decimal]) -> list[Step]:
    """Return what rows would do."""
    return steps.steps(lines(rows), names())


def drafted(cast: Cast, planned: Sequence[Step]) -> BudgetPlan:
    """Keep a plan of finance's."""
    return drafts.keep(
        PlanKind.IMPORT,
        planned,
        by=finance(cast),
        at=timezone.now(),
        source="2027.xlsx",
        reason="the board's plan",
    )


def applied(cast: Cast, *rows: Mapping[str, str | Decimal]) -> Applied:
    """Preview rows and apply them."""
    plan = drafted(cast, previewed(*rows))
    return drafts.apply(plan, names(), by=finance(cast), at=timezone.now())


def finance(cast: Cast) -> Actor:
    """Return our finance person as an actor."""
    return Actor("user", cast.person("finance").pk)


def budget(name: str) -> Budget:
    """Return a running budget by its name."""
    return Budget.objects.get(name=name, archived_at=None)
