"""Raises what no call crosses: forecasts, burn rates, and the way back down; each told once."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from attribution.isolation.transaction import required

RECOVERED = "budget.recovered"
NO_DATA = "budget.no_data"


@dataclass(frozen=True, slots=True)
class Burn:
    """What a budget period's scope has spent in the last hours."""

    period_id: int
    hours: int
    spent: Decimal


@dataclass(frozen=True, slots=True)
class Event:
    """Something people are to hear of; the same key of a topic is never told twice."""

    topic: str
    key: str
    payload: Mapping[str, Any]


def ahead(period_ids: Sequence[int], burns: Iterable[Burn] = ()) -> int:
    """Record the thresholds on forecasts and burn rates that periods have reached; return the new."""
    burnt = [
        {"period_id": burn.period_id, "hours": burn.hours, "spent": f"{burn.spent:f}"}
        for burn in burns
    ]
    return _call(
        "SELECT budgets_raise_ahead(%s::jsonb)", {"periods": list(period_ids), "burns": burnt}
    )


def tell(events: Sequence[Event]) -> int:
    """Leave events for whoever addresses messages; return how many are new."""
    if not events:
        return 0
    rows = [{"topic": e.topic, "key": e.key, "payload": dict(e.payload)} for e in events]
    return _call("SELECT budgets_tell(%s::jsonb)", {"events": rows})


def _call(statement: str, argument: Mapping[str, object]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps({"organization_id": str(required()), **argument})])
        (answer,) = cursor.fetchone()
    return int(answer)
