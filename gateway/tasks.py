"""Background work of the package: every task finds what is to do in PostgreSQL and may be lost."""

from celery import shared_task

from gateway.workers import sweep as orphans


@shared_task
def sweep() -> None:
    """Charge the holds whose process is gone."""
    orphans.sweep()
