"""What waits for a decision: requests for a second person, and plans that nobody applied."""

from typing import Any

from django.utils import timezone

from attribution.approvals import decisions
from attribution.approvals.decisions import Subject
from attribution.approvals.models import ApprovalRequest
from attribution.audit.trail import Actor
from attribution.tenancy.models import User
from budgets.limits import raises
from budgets.limits.models import Budget
from budgets.plans import drafts
from budgets.plans.fields import USUAL
from budgets.plans.models import BudgetPlan, PlanKind
from budgets.plans.steps import Action, Step
from tests.factories import unique


def make_approval(
    *, budget: Budget, asked_by: User, approver: User | None = None, limit: str = "900"
) -> ApprovalRequest:
    """Ask a second person for another limit."""
    payload = {"budget_id": str(budget.pk), "before": "100", "limit": limit, "effective_at": ""}
    by = Actor("user", asked_by.pk)
    subject = Subject(str(budget.pk), budget.name, approver.pk if approver else None)
    at, reason = timezone.now(), f"{budget.name} needs more"
    return decisions.ask(raises.LIMIT, subject, payload=payload, reason=reason, by=by, at=at)


def make_plan(*, made_by: User, name: str = "") -> BudgetPlan:
    """Keep the preview of a plan with one new budget."""
    after = {**USUAL, "name": name or unique("planned"), "covers": "organization"}
    step = Step(2, Action.CREATE, after["name"], after={**after, "limit_usd": "500"})
    facts: dict[str, Any] = {"by": Actor("user", made_by.pk), "at": timezone.now()}
    return drafts.keep(PlanKind.IMPORT, [step], **facts, source="plan.csv", reason="")


def make_forecast(*, budget: Budget, p50: str = "90", **columns: Any) -> Forecast:
    """Keep a forecast of a budget's running period."""
    now = timezone.now()
    period = BudgetPeriod.objects.get(budget=budget, starts_at__lte=now, ends_at__gt=now)
    yesterday = now.date() - timedelta(days=1)
    values: dict[str, Any] = {"status": "ok", "method": "weekday", "days": 20, **columns}
    return Forecast.objects.create(
        budget_period=period,
        p50=Decimal(p50),
        through_on=yesterday,
        outline={"first": now.date(), "method": "weekday", "past": [], "expected": [p50]},
        modelled_at=now,
        computed_at=now,
        **values,
    )
