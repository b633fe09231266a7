"""Background work of the package: every task finds what is to do in PostgreSQL and may be lost."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.tenancy.access import every_organization
from budgets.forecasts import evaluation
from budgets.limits import openings, overrides
from budgets.notifications import delivery, digests, gathering, watching
from budgets.reservations import books, reratings


@shared_task
def deliver_notifications() -> None:
    """Deliver what every organization's people are owed."""
    for organization_id in every_organization():
        deliver_notifications_of.apply_async((str(organization_id),), expires=10)


@shared_task
def deliver_notifications_of(organization_id: str) -> None:
    """Address and deliver what one organization's people are owed."""
    gathering.gather(UUID(organization_id))
    delivery.deliver(UUID(organization_id))


@shared_task
def watch() -> None:
    """Find out what every organization's people are to be told beside thresholds."""
    for organization_id in every_organization():
        watch_of.apply_async((str(organization_id),), expires=60)


@shared_task
def watch_of(organization_id: str) -> None:
    """Find raises and unusual spend to tell of in one organization, and summaries that are due."""
    with tenant(UUID(organization_id)):
        watching.look(timezone.now())
        digests.owe(timezone.now())


@shared_task
def open_periods() -> None:
    """Open the budget periods that begin within 48 hours."""
    for organization_id in every_organization():
        open_periods_of.apply_async((str(organization_id),), expires=300)


@shared_task
def open_periods_of(organization_id: str) -> None:
    """Open the coming budget periods of one organization, where its calendar now puts them."""
    with tenant(UUID(organization_id)):
        openings.keep(timezone.now())


@shared_task
def follow_limits() -> None:
    """Follow the limits of every organization that change by time."""
    for organization_id in every_organization():
        follow_limits_of.apply_async((str(organization_id),), expires=10)


@shared_task
def follow_limits_of(organization_id: str) -> None:
    """Write down the overrides of one organization that ended, and carry over what is left."""
    with tenant(UUID(organization_id)):
        overrides.follow(timezone.now())


@shared_task
def carry_on_reratings() -> None:
    """Carry on the re-ratings of every organization."""
    for organization_id in every_organization():
        carry_on_reratings_of.apply_async((str(organization_id),), expires=10)


@shared_task
def carry_on_reratings_of(organization_id: str) -> None:
    """Finish the open re-ratings of one organization."""
    reratings.carry_on(UUID(organization_id))


@shared_task
def evaluate_budgets() -> None:
    """Evaluate the running budgets of every organization."""
    for organization_id in every_organization():
        evaluate_budgets_of.apply_async((str(organization_id),), expires=60)


@shared_task
def evaluate_budgets_of(organization_id: str) -> None:
    """Bring one organization's forecasts up to date and raise thresholds on them."""
    evaluation.evaluate(UUID(organization_id), at=timezone.now())


@shared_task
def verify_books() -> None:
    """Verify the books of every organization."""
    for organization_id in every_organization():
        verify_books_of.apply_async((str(organization_id),), expires=60)


@shared_task
def verify_books_of(organization_id: str) -> None:
    """Verify the recent books of one organization; a breach stops its admissions."""
    books.guard(UUID(organization_id), at=timezone.now())


@shared_task
def prove_books() -> None:
    """Verify the whole books of every organization, periods with many calls included."""
    for organization_id in every_organization():
        prove_books_of.apply_async((str(organization_id),), expires=3600)


@shared_task
def prove_books_of(organization_id: str) -> None:
    """Verify the whole books of one organization; a breach stops its admissions."""
    books.guard(UUID(organization_id), at=timezone.now(), is_whole=True)
