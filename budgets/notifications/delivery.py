"""Delivers what is owed: claimed, sent outside of any transaction, retried until it is gone."""

import contextlib
import logging
import random
import smtplib
import time
from datetime import timedelta
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from attribution.isolation.transaction import tenant
from budgets.channels import accounts
from budgets.channels.sealing import SealError
from budgets.notifications import letters, presence
from budgets.notifications.letters import Carrier, ChannelClosedError, Letter, RefusedError
from budgets.notifications.models import Notification

LEASE = timedelta(minutes=10)  # a deliverer that died is noticed at once; one that hangs, now
FIRST_WAIT_S = 15
LONGEST_WAIT_S = 6 * 3600
GIVE_UP = timedelta(hours=24)
ROUND_S = 60  # after which a round ends, however much is owed: the next one goes on

UNSENDABLE = (SealError, ChannelClosedError)
Unsendable = SealError | ChannelClosedError

logger = logging.getLogger(__name__)


def deliver(organization_id: UUID) -> int:
    """Deliver what is due in one organization; return how many messages went out.

    At least once with a constant id; once, unless a process dies between the receiver's word and
    noting it. Several may deliver at the same time: a message is claimed by one of them.
    """
    with tenant(organization_id):
        if not _due().exists():
            return 0
    sent, until = 0, time.monotonic() + ROUND_S
    with presence.held() as me, contextlib.closing(Carrier()) as carrier:
        while time.monotonic() < until:
            claimed = _claim(organization_id, me)
            if claimed is None:
                break
            sent += _deliver(organization_id, *claimed, carrier)
    return sent


def wait(attempts: int) -> timedelta:
    """Return how long to wait after `attempts` failures: doubling with jitter, six hours at most."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(attempts, 20))
    spread = random.SystemRandom().randint(longest // 2, longest)
    return timedelta(seconds=spread)


def _due() -> QuerySet[Notification]:
    """Return what is owed by now, claimed or not."""
    owed = Notification.objects.filter(done_at=None, given_up_at=None, available_at__lte=Now())
    return owed.exclude(recipient="")


def _claim(organization_id: UUID, me: int) -> tuple[Notification, Letter | Unsendable] | None:
    """Claim the message that is longest due, and write it while its facts can be read."""
    with tenant(organization_id):
        _release_the_dead()
        free = _due().filter(Q(claimed_until=None) | Q(claimed_until__lt=Now()))
        locked = free.select_for_update(skip_locked=True, of=("self",))
        owed = locked.order_by("available_at", "id").first()
        if owed is None:
            return None
        mine = Notification.objects.filter(pk=owed.pk)
        mine.update(claimed_until=Now() + LEASE, claimed_by=me, attempts=F("attempts") + 1)
        owed = mine.select_related("person", "place").get()
        try:
            return owed, letters.compose(owed, now=timezone.now())
        except UNSENDABLE as error:  # of one message: the others go on
            return owed, error


def _release_the_dead() -> None:
    """Give back what deliverers had claimed that are no more."""
    claims = _due().filter(claimed_until__gte=Now(), claimed_by__isnull=False)
    numbers = set(claims.values_list("claimed_by", flat=True))
    dead = numbers - presence.living() if numbers else set()
    if not dead:
        return
    # Many may find the same dead at the same time: each takes what no other holds, or they would
    # wait for each other in a circle.
    left = _due().filter(claimed_by__in=dead).select_for_update(skip_locked=True)
    mine = [row.pk for row in left]
    Notification.objects.filter(pk__in=mine).update(claimed_until=None, claimed_by=None)


def _deliver(
    organization_id: UUID, owed: Notification, letter: Letter | Unsendable, carrier: Carrier
) -> bool:
    try:
        if isinstance(letter, UNSENDABLE):
            raise letter
        carrier.send(letter)
    except (smtplib.SMTPException, OSError, RefusedError, *UNSENDABLE) as error:
        logger.warning("notification.failed", extra={"notification": str(owed.pk)}, exc_info=True)
        _note_failure(organization_id, owed, error)
        return False
    with tenant(organization_id):
        _mine(owed).update(done_at=Now(), claimed_until=None, claimed_by=None, last_error="")
    return True


def _note_failure(organization_id: UUID, owed: Notification, error: Exception) -> None:
    """Note when to try again, or that it is given up; a receiver that is gone is switched off."""
    is_gone = isinstance(error, RefusedError) and error.is_final
    now = timezone.now()
    is_last = is_gone or isinstance(error, ChannelClosedError) or now - owed.created_at >= GIVE_UP
    with tenant(organization_id):
        _mine(owed).update(
            available_at=Now() + wait(owed.attempts),
            given_up_at=Now() if is_last else None,
            claimed_until=None,
            claimed_by=None,
            last_error=f"{type(error).__name__}: {error}"[:500],
        )
        if is_gone and owed.place_id:
            accounts.refuse(owed.place_id, at=now)


def _mine(owed: Notification) -> QuerySet[Notification]:
    """Return the message, unless the lease ran out and somebody else has it now."""
    return Notification.objects.filter(
        pk=owed.pk, claimed_until=owed.claimed_until, claimed_by=owed.claimed_by
    )
