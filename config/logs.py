"""Structured logs: one JSON object per line, a dotted event name and its fields."""

import json
import logging
from datetime import UTC, datetime

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Objects that Django and Celery attach to their records: never written, they may hold bodies and headers.
_WITHHELD = {"request", "response", "data", "sql", "params", "status_code", "server_time"}


class JsonFormatter(logging.Formatter):
    """Writes the event, its fields and, for errors, the traceback without local values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        extra = vars(record).keys() - _STANDARD - _WITHHELD
        line |= {name: vars(record)[name] for name in sorted(extra)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
