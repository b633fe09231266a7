"""Background work of the package: every task finds what is to do in PostgreSQL and may be lost."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from attribution.audit import trail
from attribution.insights import detection
from attribution.isolation.transaction import tenant
from attribution.ledger import rollups
from attribution.tenancy.access import every_organization
from attribution.usage import partitions


@shared_task
def advance_rollups() -> None:
    """Fold new ledger entries into what the pages read."""
    rollups.advance()


@shared_task
def recut_rollups() -> None:
    """Cut the days and months of organizations whose time zone has changed anew."""
    for organization_id in every_organization():
        rollups.recut(organization_id)


@shared_task
def make_partitions() -> None:
    """Create the partitions of the coming months."""
    partitions.ensure(timezone.now())


@shared_task
def seal_audit() -> None:
    """Seal the audit trail of every organization."""
    for organization_id in every_organization():
        seal_audit_of.apply_async((str(organization_id),), expires=60)


@shared_task
def seal_audit_of(organization_id: str) -> None:
    """Give the newest audit entries of one organization their place in its chain."""
    with tenant(UUID(organization_id)):
        trail.seal()


@shared_task
def find_anomalies() -> None:
    """Look for anomalies in the last hours of every organization."""
    for organization_id in every_organization():
        find_anomalies_of.apply_async((str(organization_id),), expires=300)


@shared_task
def find_anomalies_of(organization_id: str) -> None:
    """Judge the last hours of one organization."""
    with tenant(UUID(organization_id)):
        detection.judge_hours(at=timezone.now())


@shared_task
def find_anomalies_of_days() -> None:
    """Look for anomalies in the last days of every organization."""
    for organization_id in every_organization():
        find_anomalies_of_days_of.apply_async((str(organization_id),), expires=900)


@shared_task
def find_anomalies_of_days_of(organization_id: str) -> None:
    """Judge the last days of one organization, late data too."""
    with tenant(UUID(organization_id)):
        detection.judge_days(at=timezone.now())
