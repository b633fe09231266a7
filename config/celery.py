"""The Celery application and its whole timetable."""

import os
import warnings
from datetime import timedelta
from typing import Any

import psycopg
from celery import Celery
from celery.beat import Scheduler
from celery.exceptions import SecurityWarning
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Root runs a worker only in the demo, and the danger it warns of is pickled content, which is refused.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("tollkeeper")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

BEAT_LOCK = 0x746F6C6C  # the advisory lock of the one beat that may send
STANDBY_S = 5.0


def every(task: str, *, seconds: int) -> dict[str, Any]:
    """Schedule a task; a poke that found no worker in time is dropped, the next one does its work."""
    return {
        "task": task,
        "schedule": timedelta(seconds=seconds),
        "options": {"expires": max(seconds, 10)},
    }


app.conf.beat_schedule = {
    "sweep orphaned holds": every("gateway.tasks.sweep", seconds=2),
    "advance rollups": every("attribution.tasks.advance_rollups", seconds=1),
    "cut rollups by a changed time zone": every("attribution.tasks.recut_rollups", seconds=60),
    "deliver notifications": every("budgets.tasks.deliver_notifications", seconds=2),
    "find what is to be told": every("budgets.tasks.watch", seconds=60),
    "open the next budget periods": every("budgets.tasks.open_periods", seconds=300),
    "follow limits": every("budgets.tasks.follow_limits", seconds=10),
    "carry on re-ratings": every("budgets.tasks.carry_on_reratings", seconds=10),
    "evaluate budgets": every("budgets.tasks.evaluate_budgets", seconds=60),
    "verify the books": every("budgets.tasks.verify_books", seconds=60),
    "verify the whole books": every("budgets.tasks.prove_books", seconds=3600),
    "seal the audit trail": every("attribution.tasks.seal_audit", seconds=60),
    "find anomalies of hours": every("attribution.tasks.find_anomalies", seconds=300),
    "find anomalies of days": every("attribution.tasks.find_anomalies_of_days", seconds=900),
    "make partitions ahead": every("attribution.tasks.make_partitions", seconds=3600),
}


class OneBeat(Scheduler):
    """Sends only while it holds the advisory lock, so that a second beat merely stands by.

    Keeps no file: every task finds its work in PostgreSQL, so a forgotten last run costs nothing.
    """

    _connection: psycopg.Connection | None = None

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, or wait for the lock; return the seconds until the next look."""
        if not self.leads():
            return STANDBY_S
        return float(super().tick(*args, **kwargs))

    def close(self) -> None:
        """Give the lock back."""
        if self._connection:
            self._connection.close()
        super().close()

    def leads(self) -> bool:
        try:
            if self._connection and not self._connection.closed:
                self._connection.execute("SELECT 1")
                return True
            return self._take_lock()
        except psycopg.OperationalError:
            if self._connection:
                self._connection.close()
            return False

    def _take_lock(self) -> bool:
        connection = psycopg.connect(settings.DATABASE_URL, autocommit=True)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [BEAT_LOCK]).fetchone()
        if row and row[0]:
            self._connection = connection
            return True
        connection.close()
        return False
