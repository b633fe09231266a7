"""Delivers what is owed: leased, sent outside of any transaction, retried until it is gone."""

import logging
import random
import smtplib
from datetime import timedelta
from uuid import UUID

from django.core.mail import EmailMessage, get_connection
from django.db.models import F, Q
from django.db.models.functions import Now

from attribution.isolation.transaction import tenant
from budgets.notifications import email, gathering
from budgets.notifications.models import Notification

LEASE = timedelta(seconds=90)
SEND_S = 20  # patience with the mail server: well within the lease, so nobody else sends meanwhile
FIRST_WAIT_S = 15
LONGEST_WAIT_S = 24 * 3600
MOST = 100  # messages of one round

logger = logging.getLogger(__name__)


def deliver(organization_id: UUID) -> int:
    """Deliver what is due in one organization; return how many messages went out.

    At least once with a constant Message-ID; once, unless a process dies between sending and noting
    it. Several may deliver at the same time: a message is leased to one of them.
    """
    sent = 0
    for _ in range(MOST):
        claimed = _claim(organization_id)
        if claimed is None:
            break
        sent += _deliver(organization_id, *claimed)
    return sent


def wait(attempts: int) -> timedelta:
    """Return how long to wait after `attempts` failures: doubling with jitter, a day at most."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(attempts, 20))
    spread = random.SystemRandom().randint(longest // 2, longest)
    return timedelta(seconds=spread)


def _claim(organization_id: UUID) -> tuple[Notification, EmailMessage] | None:
    """Lease the message that is longest due, and write it while its facts can be read."""
    with tenant(organization_id):
        due = Notification.objects.filter(
            Q(claimed_until=None) | Q(claimed_until__lt=Now()),
            done_at=None,
            available_at__lte=Now(),
            channel=gathering.EMAIL,
        )
        owed = due.select_for_update(skip_locked=True).order_by("available_at", "id").first()
        if owed is None:
            return None
        mine = Notification.objects.filter(pk=owed.pk)
        mine.update(claimed_until=Now() + LEASE, attempts=F("attempts") + 1)
        owed.refresh_from_db()
        return owed, email.compose(owed)


def _deliver(organization_id: UUID, owed: Notification, message: EmailMessage) -> bool:
    try:
        message.connection = get_connection(timeout=SEND_S)
        message.send()
    except (smtplib.SMTPException, OSError) as error:
        logger.warning("notification.failed", extra={"notification": str(owed.pk)}, exc_info=True)
        _note(organization_id, owed, error=error)
        return False
    _note(organization_id, owed, error=None)
    return True


def _note(organization_id: UUID, owed: Notification, *, error: Exception | None) -> None:
    """Note the outcome, unless the lease ran out and somebody else has the message now."""
    with tenant(organization_id):
        mine = Notification.objects.filter(pk=owed.pk, claimed_until=owed.claimed_until)
        if error is None:
            mine.update(done_at=Now(), claimed_until=None, last_error="")
        else:
            mine.update(
                available_at=Now() + wait(owed.attempts),
                claimed_until=None,
                last_error=f"{type(error).__name__}: {error}"[:500],
            )
