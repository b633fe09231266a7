"""The sweep for background workers: holds of dead processes become uncertain charges."""

import json
from typing import Any

from django.db import connection


def sweep() -> int:
    """Expire the holds of processes that no longer beat; return how many.

    Gateways sweep too. One sweep runs at a time, and a hold moves at most once.
    """
    live = _ask("SELECT gateway_beat(%s::jsonb)::text", {})["live"]
    return int(_ask("SELECT budgets_expire(%s::jsonb)::text", {"live": live}))


def _ask(sql: str, question: dict[str, Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, [json.dumps(question)])
        (answer,) = cursor.fetchone()
    return json.loads(answer)
