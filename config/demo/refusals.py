"""A call of the demo that a budget refused, so that its arithmetic can be looked at."""

import contextlib
import uuid
from datetime import datetime
from decimal import Decimal

from budgets.limits import standing
from budgets.limits.models import Budget
from budgets.reservations import holds
from budgets.reservations.holds import Call, RefusedError
from gateway.keys.models import ApiKey

SHORT_BY = Decimal("3.072")  # 384,000 output tokens of the demo model


def add(budget: Budget | None, *, at: datetime) -> None:
    """Let a program ask a blocking budget for a little more than it has left."""
    key = ApiKey.objects.filter(name="Demo program").first()
    now = standing.current(budget, at=at) if budget else None
    if key is None or budget is None or now is None or not budget.is_hard:
        return
    call = Call(
        holds.mint(at),
        api_key_id=key.lineage,
        cost_center_id=budget.scope_id,
        user_id="erin@acme.example",
        feature="evaluation",
        model="demo",
    )
    columns = {"api_key_name": key.name, "model_requested": "demo"}
    with contextlib.suppress(RefusedError):  # which is what it is for
        holds.reserve(call, now.remaining + SHORT_BY, at=at, worker_id=uuid.uuid4(), **columns)
