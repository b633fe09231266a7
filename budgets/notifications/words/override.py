"""Words about raises of a limit for a while: granted, and ending soon."""

from datetime import datetime

from django.utils.translation import gettext

from attribution.templatetags.tollkeeper import instant_text
from budgets.notifications.words.message import Message, Payload, amount, instant, plain, usd


def granted(payload: Payload, *, now: datetime) -> Message:
    """Tell that a limit was raised for a while: by how much, until when, by whom and why."""
    names = _names(payload)
    return _message(
        payload,
        level="info",
        subject=gettext("%(name)s: limit raised by %(amount)s until %(until)s") % names,
        decision=gettext("Nothing needs to be done."),
        fact=gettext("The raise ends by itself; limit versions and what was spent stay.") % names,
    )


def expiring(payload: Payload, *, now: datetime) -> Message:
    """Tell that a raise ends soon."""
    names = _names(payload)
    return _message(
        payload,
        level="warn",
        subject=gettext("%(name)s: raise of %(amount)s ends %(until)s") % names,
        decision=gettext("Decide now whether the budget needs another raise or a higher limit."),
        fact=gettext("From then on the limit of %(name)s is lower by %(amount)s again.") % names,
    )


def _names(payload: Payload) -> dict[str, str]:
    return {
        "name": payload["budget"]["name"],
        "amount": usd(amount(payload, "amount")),
        "until": instant_text(instant(payload, "ends_at")),
    }


def _message(payload: Payload, *, level: str, subject: str, decision: str, fact: str) -> Message:
    rows = [
        (gettext("From"), instant_text(instant(payload, "starts_at"))),
        (gettext("Until"), instant_text(instant(payload, "ends_at"))),
        (gettext("Reason"), payload["reason"]),
        (gettext("Asked by"), payload["requested_by"]),
        (gettext("Approved by"), payload["approved_by"]),
    ]
    return Message(
        level=level,
        subject=plain(subject),
        decision=decision,
        fact=fact,
        button=gettext("Open the budget"),
        path=payload["path"],
        foot="",
        rows=tuple((label, value) for label, value in rows if value),
        is_acknowledgeable=False,
    )
