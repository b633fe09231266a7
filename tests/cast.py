"""The cast of most tests: ours, an organization with every role, and theirs, the outsider."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import pytest
from django.test import Client

from attribution.approvals.models import ApprovalRequest
from attribution.audit.models import AuditEntry
from attribution.isolation.transaction import tenant
from attribution.ledger.models import LedgerEntry
from attribution.prices.models import Price
from attribution.tenancy.models import (
    Block,
    CostCenter,
    Department,
    Membership,
    Organization,
    Role,
    User,
)
from budgets.alerts.models import Alert
from budgets.channels.models import Channel
from budgets.limits.amounts import BudgetOverride
from budgets.limits.models import Budget
from budgets.plans.models import BudgetPlan
from budgets.reservations.models import BoundBreach, Rerating
from gateway.keys.models import ApiKey, RateLimit
from gateway.routes.models import DowngradeRule, Route
from gateway.upstreams.models import Upstream
from tests.attribution.insights.rows import make_anomaly
from tests.factories import (
    make_block,
    make_budget,
    make_call,
    make_cost_center,
    make_department,
    make_forecast,
    make_key,
    make_member,
    make_organization,
    make_override,
    make_price,
    make_proposal,
    make_rate_limit,
    make_rerating,
    make_route,
    make_rule,
    make_upstream,
    make_user,
)
from tests.messages import make_channel, make_note
from tests.proposals import make_approval, make_plan


@dataclass(frozen=True)
class Cast:
    """An organization with a person of every role and a row of every kind."""

    organization: Organization
    memberships: Mapping[str, Membership]
    department: Department
    cost_center: CostCenter
    budget: Budget
    override: BudgetOverride
    approval: ApprovalRequest
    plan: BudgetPlan
    price: Price
    upstream: Upstream
    route: Route
    key: ApiKey
    rate_limit: RateLimit
    rule: DowngradeRule
    block: Block
    call_id: UUID
    entry_id: UUID
    audit_id: UUID
    alert_id: UUID
    breach_id: int
    rerating: Rerating
    channel: Channel
    notification_id: UUID
    proposal_id: int
    anomaly_id: UUID

    def person(self, role: str) -> User:
        """Return the person of a role."""
        user: User = self.memberships[role].user
        return user

    def browser(self, role: str) -> Client:
        """Return a browser in which the person of a role has signed in."""
        client = Client()
        client.force_login(self.person(role))
        return client


def make_cast(*, mark: str) -> Cast:
    """Create an organization whose every name begins with `mark`."""
    organization = make_organization(name=f"{mark} organization")
    users = {role: make_user(name=f"{mark} {role}") for role in Role.values}
    with tenant(organization.pk):
        department = make_department(name=f"{mark} department")
        cost_center = make_cost_center(
            code=f"{mark}-CC", name=f"{mark} cost center", department=department
        )
        upstream = make_upstream(name=f"{mark} upstream")
        memberships = {
            role: make_member(role=Role(role), user=user) for role, user in users.items()
        }
        budget = make_budget(name=f"{mark} budget", limit="100", thresholds=["80", "1"])
        make_forecast(budget=budget)
        key = make_key(name=f"{mark} key", cost_center=cost_center, created_by=users["engineer"])
        call_id = make_call(
            cost="1.25",
            cost_center=cost_center,
            model=f"{mark}-model",
            user=f"{mark}-user",
            error_code="bound_breach",
        )
        return Cast(
            organization=organization,
            memberships=memberships,
            department=department,
            cost_center=cost_center,
            budget=budget,
            override=make_override(budget=budget, reason=f"{mark} override"),
            approval=make_approval(
                budget=budget, asked_by=users["finance"], approver=users["manager"]
            ),
            plan=make_plan(made_by=users["finance"], name=f"{mark} planned"),
            price=make_price(model=f"{mark}-model"),
            upstream=upstream,
            route=make_route(name=f"{mark}-route", upstream=upstream),
            key=key,
            rate_limit=make_rate_limit(cost_center=cost_center, requests_per_minute=600),
            rule=make_rule(
                budget=budget, name=f"{mark} rule", asked_models=[f"{mark}-model"], to_model=mark
            ),
            block=make_block(name=f"{mark} blocked"),
            call_id=call_id,
            entry_id=LedgerEntry.objects.get(usage_id=call_id).pk,
            audit_id=AuditEntry.objects.latest("at").pk,
            alert_id=Alert.objects.get().pk,
            breach_id=BoundBreach.objects.get().pk,
            channel=make_channel(name=f"{mark} channel"),
            notification_id=make_note(users["finance"], mark=mark),
            rerating=make_rerating(reason=f"{mark} reason"),
            proposal_id=make_proposal(),
            anomaly_id=make_anomaly(
                cost_center=cost_center, model=f"{mark}-model", api_key_id=key.pk, is_alerting=True
            ).pk,
        )


@pytest.fixture
def ours(db: None) -> Cast:
    """Give our organization."""
    return make_cast(mark="OURS")


@pytest.fixture
def theirs(db: None) -> Cast:
    """Give the other organization; its mark may never be seen by us."""
    return make_cast(mark="CANARY-B")
