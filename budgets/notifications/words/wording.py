"""From a topic and its payload to words."""

from collections.abc import Callable
from datetime import datetime

from django.utils.translation import gettext

from budgets.channels.models import Topic
from budgets.notifications.words import anomaly, budget, digest, override
from budgets.notifications.words.message import Message, Payload, plain

WORDS: dict[str, Callable[..., Message]] = {
    Topic.THRESHOLD: budget.threshold,
    Topic.RECOVERED: budget.recovered,
    Topic.NO_DATA: budget.no_data,
    Topic.OVERRIDE_GRANTED: override.granted,
    Topic.OVERRIDE_EXPIRING: override.expiring,
    Topic.ANOMALY: anomaly.found,
    Topic.DIGEST: digest.summary,
}


def told(topic: str, payload: Payload, *, now: datetime) -> Message:
    """Say what a message tells, in the language and zone that are active."""
    write = WORDS.get(topic, _test)
    return write(payload, now=now)


def _test(payload: Payload, *, now: datetime) -> Message:
    names = {"channel": payload.get("channel", ""), "person": payload.get("person", "")}
    return Message(
        level="info",
        subject=plain(gettext("Test message to %(channel)s") % names),
        decision=gettext("Nothing needs to be done: this channel works."),
        fact=gettext("%(person)s sent this to see whether messages arrive.") % names,
        button=gettext("Open the channels"),
        path=payload["path"],
        foot="",
        is_acknowledgeable=False,
    )
