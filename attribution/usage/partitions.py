"""Monthly partitions, made ahead of time."""

import json
from datetime import date, datetime

from django.db import connection

AHEAD = 3


def ensure(at: datetime) -> int:
    """Create the missing partitions of last month, this one and the next three; return how many."""
    return create(_month_before(at.date()), months=AHEAD + 2)


def create(first: date, *, months: int) -> int:
    """Create the missing partitions of `months` months from that of `first`; return how many."""
    argument = json.dumps({"from": first.isoformat(), "months": months})
    with connection.cursor() as cursor:
        cursor.execute("SELECT attribution_partitions(%s::jsonb)", [argument])
        (made,) = cursor.fetchone()
    return int(made)


def _month_before(day: date) -> date:
    return date(day.year - (day.month == 1), day.month - 1 or 12, 1)
