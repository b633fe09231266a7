"""Log lines: one JSON object, event and fields, nothing that may hold a body."""

import json
import logging

from config.logs import JsonFormatter


def test_a_line_holds_event_and_fields() -> None:
    record = logging.makeLogRecord(
        {"name": "budgets", "levelname": "INFO", "msg": "budget.refused", "budget": "R&D"}
    )

    line = json.loads(JsonFormatter().format(record))

    assert (line["event"], line["budget"], line["level"]) == ("budget.refused", "R&D", "info")


def test_a_line_never_holds_a_request() -> None:
    record = logging.makeLogRecord({"msg": "x", "request": "POST secret", "data": "secret"})

    assert "secret" not in JsonFormatter().format(record)
