"""Reserve, settle, release and expire for synchronous callers; the gateway has its own batched bridge."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from attribution import money
from attribution.isolation.transaction import required
from attribution.tenancy.models import CostCenter, Department, Organization
from budgets.limits import filters
from budgets.limits.models import Budget, BudgetPeriod, Scope


class RefusedError(Exception):
    """A call was not admitted; `code` says why, `detail` which budget stands in its way."""

    def __init__(self, code: str, detail: Mapping[str, Any]) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Call:
    """Who a call is for: what decides which budget periods cover it."""

    id: UUID
    api_key_id: UUID | None = None
    cost_center_id: UUID | None = None
    user_id: str = ""
    feature: str = ""
    environment: str = ""
    provider: str = ""  # empty: not known yet
    model: str = ""

    def columns(self) -> dict[str, str]:
        """Return what its record says of itself."""
        told = {name: getattr(self, name) for name in ("feature", "environment", "provider")}
        return told | {"route": self.model, "provider_model": self.model}


def mint(at: datetime) -> UUID:
    """Return a new call id of an instant."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT uuid7_at(%s)", [at])
        (minted,) = cursor.fetchone()
    return UUID(str(minted))


def covering(call: Call, *, at: datetime) -> list[int]:
    """Return the open budget periods that cover a call, in the organization being served."""
    departments = _departments(call.cost_center_id)
    periods = BudgetPeriod.objects.filter(
        budget__archived_at=None, starts_at__lte=at, ends_at__gt=at
    ).select_related("budget")
    found = [
        one.pk
        for one in periods
        if _covers(one.budget, call, departments) and _may_count(one.budget, call)
    ]
    return sorted(found)


def reserve(
    call: Call, amount: Decimal, *, at: datetime, worker_id: UUID, **columns: Any
) -> Decimal | None:
    """Hold `amount` in every budget period that covers a call, or raise RefusedError.

    Returns the smallest room left in its hard periods. Asking again with the same id changes
    nothing. Locks as budgets_admit does; `columns` describe the call (see attribution_open).
    """
    organization = Organization.objects.get(pk=required())
    asked = {
        **call.columns(),
        **columns,
        "id": str(call.id),
        "organization_id": str(organization.pk),
        "epoch": organization.policy_epoch,
        "amount": money.text(amount),
        "periods": covering(call, at=at),
        "api_key_id": _text(call.api_key_id),
        "cost_center_id": _text(call.cost_center_id),
        "department_id": _text(_department(call.cost_center_id)),
        "user_id": call.user_id,
    }
    body = {"worker": str(worker_id), "calls": [asked]}
    outcome, detail = _ask("SELECT outcome, detail FROM budgets_admit(%s::jsonb)", body)
    if outcome != "granted":
        raise RefusedError(outcome, detail or {})
    remaining = (detail or {}).get("remaining")
    return None if remaining is None else Decimal(remaining)


def settle(call_id: UUID, cost: Decimal | None, **columns: Any) -> bool:
    """Charge a call what it cost (None: unpriced) and free its hold; False if that was done before.

    `columns` are those of attribution_post: lines, tokens, model_billed and so on.
    """
    text = None if cost is None else money.text(cost)
    return _resolve({"cost_source": "usage", **columns, "id": str(call_id)}, "settled", cost=text)


def release(call_id: UUID, **columns: Any) -> bool:
    """Free the hold of a call that provably costs nothing; False if it had ended before."""
    return _resolve({**columns, "id": str(call_id)}, "released", cost="0")


def doubt(call_id: UUID, **columns: Any) -> bool:
    """Charge the whole hold of a call that may have been billed, nobody knows how much."""
    return _resolve({**columns, "id": str(call_id)}, "uncertain", cost=None)


def expire(live: Iterable[UUID], *, most: int = 500) -> int:
    """Charge the holds of all organizations whose worker is not among `live`; return how many."""
    body = {"live": [str(worker_id) for worker_id in live], "limit": most}
    with connection.cursor() as cursor:
        cursor.execute("SELECT budgets_expire(%s::jsonb)", [json.dumps(body)])
        (expired,) = cursor.fetchone()
    return int(expired)


def _resolve(end: dict[str, Any], state: str, *, cost: str | None) -> bool:
    body = [{**end, "state": state, "cost": cost}]
    outcome, _ = _ask("SELECT outcome, detail FROM budgets_settle(%s::jsonb)", body)
    return outcome == "done"


def _ask(statement: str, body: object) -> tuple[str, dict[str, Any] | None]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(body)])
        outcome, detail = cursor.fetchone()
    return outcome, json.loads(detail) if isinstance(detail, str) else detail


def _covers(budget: Budget, call: Call, departments: set[UUID]) -> bool:
    if budget.scope == Scope.ORGANIZATION:
        return True
    if budget.scope == Scope.USER:
        return budget.scope_value == call.user_id
    if budget.scope == Scope.DEPARTMENT:
        return budget.scope_id in departments
    own = call.cost_center_id if budget.scope == Scope.COST_CENTER else call.api_key_id
    return budget.scope_id == own


def _may_count(budget: Budget, call: Call) -> bool:
    models = (call.model,) if call.model else ()
    return filters.may_count(
        budget.filters, feature=call.feature, environment=call.environment
    ) and filters.may_bill(budget.filters, provider=call.provider, models=models)


def _department(cost_center_id: UUID | None) -> UUID | None:
    if cost_center_id is None:
        return None
    return CostCenter.objects.values_list("department_id", flat=True).get(pk=cost_center_id)


def _departments(cost_center_id: UUID | None) -> set[UUID]:
    """Return the department of a cost center and those above it."""
    parents = dict(Department.objects.values_list("pk", "parent_id"))
    above: set[UUID] = set()
    current = _department(cost_center_id)
    while current is not None and current not in above:
        above.add(current)
        current = parents.get(current)
    return above


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
