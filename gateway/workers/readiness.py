"""Whether a process may be given requests, from facts that its role gathered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out. `off`: settings without which PostgreSQL forgets commits."""

    is_reachable: bool
    off: Sequence[str]
    is_ahead: bool  # partitions for this month and the next two
    is_draining: bool
    commit_ms: float | None  # of the latest transaction, where one was measured


def verdict(facts: Facts) -> tuple[int, dict[str, Any]]:
    """Return the status, 200 or 503, and the body that says why."""
    checks = {
        "database": facts.is_reachable,
        "durability": facts.is_reachable and not facts.off,
        "partitions": facts.is_reachable and facts.is_ahead,
        "not_draining": not facts.is_draining,
    }
    is_ready = all(checks.values())
    body = {
        "status": "ready" if is_ready else "not ready",
        "checks": checks,
        "off": list(facts.off),
        "commit_ms": None if facts.commit_ms is None else f"{facts.commit_ms:.2f}",
    }
    return 200 if is_ready else 503, body
