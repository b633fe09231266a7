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
