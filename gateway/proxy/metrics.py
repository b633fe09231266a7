"""Counters of this process, in Prometheus' text format."""

import collections

_answers: collections.Counter[int] = collections.Counter()


def count(status: int) -> None:
    """Count an answer."""
    _answers[status] += 1


def text(*, calls_open: int, ledger_away: bool, untold: int) -> bytes:
    """Return all counters."""
    lines = ["# TYPE tollkeeper_answers_total counter"]
    lines += [
        f'tollkeeper_answers_total{{status="{status}"}} {number}'
        for status, number in sorted(_answers.items())
    ]
    lines += ["# TYPE tollkeeper_calls_open gauge", f"tollkeeper_calls_open {calls_open}"]
    lines += ["# TYPE tollkeeper_ledger_away gauge", f"tollkeeper_ledger_away {int(ledger_away)}"]
    lines += ["# TYPE tollkeeper_live_dropped_total counter"]
    lines += [f"tollkeeper_live_dropped_total {untold}"]
    return "\n".join([*lines, ""]).encode()
