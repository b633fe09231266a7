"""Turns events that lower floors left into messages owed: one per recipient and channel."""

from collections.abc import Iterator
from uuid import UUID

from django.db.models.functions import Now
from django.utils import timezone

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Membership
from budgets.channels.models import ChannelKind
from budgets.notifications import facts
from budgets.notifications.facts import Story
from budgets.notifications.models import MailChoice, Notification, Subscription

MOST = 200  # events of one transaction


def gather(organization_id: UUID) -> int:
    """Address the events of one organization; return how many messages are newly owed.

    Its own transaction. Idempotent: a message is unique by event, channel and recipient.
    """
    with tenant(organization_id):
        events = Notification.objects.filter(recipient="", done_at=None)
        mine = events.select_for_update(skip_locked=True).order_by("created_at")
        return sum(_address(event) for event in mine[:MOST])


def _address(event: Notification) -> int:
    told = facts.story(event)
    owed = list(_rows(event, told)) if told else []
    Notification.objects.bulk_create(owed, ignore_conflicts=True)
    Notification.objects.filter(pk=event.pk).update(done_at=Now())
    return len(owed)


def _rows(event: Notification, told: Story) -> Iterator[Notification]:
    """Yield a note in the pages for everybody, the mails people want, and one per channel."""
    choices = dict(Subscription.objects.values_list("person_id", "mail"))
    for person in told.people:
        yield note(event, person, told.payload)
        if _wants_mail(choices.get(person.user_id, MailChoice.NOW), is_hard=told.is_hard):
            yield mail(event, person, told.payload)
    for place in told.places:
        yield Notification(
            topic=event.topic,
            dedupe_key=f"{event.dedupe_key}:channel:{place.pk}",
            recipient=place.mailbox or place.name,
            channel=place.kind,
            place=place,
            payload=told.payload,
            created_at=event.created_at,
        )


def note(event: Notification, person: Membership, payload: facts.Payload) -> Notification:
    """Return what stands in the pages of a person: there at once, unread."""
    return _personal(event, person, payload, channel=ChannelKind.IN_APP)


def mail(event: Notification, person: Membership, payload: facts.Payload) -> Notification:
    """Return the e-mail that a person is owed."""
    return _personal(event, person, payload, channel=ChannelKind.EMAIL)


def _personal(
    event: Notification, person: Membership, payload: facts.Payload, *, channel: ChannelKind
) -> Notification:
    return Notification(
        topic=event.topic,
        dedupe_key=f"{event.dedupe_key}:{channel}:{person.user_id}",
        recipient=person.user.email,
        channel=channel,
        person=person.user,
        payload=payload,
        created_at=event.created_at,
        done_at=timezone.now() if channel == ChannelKind.IN_APP else None,
    )


def _wants_mail(choice: str, *, is_hard: bool) -> bool:
    return choice == MailChoice.NOW or (choice == MailChoice.HARD and is_hard)
