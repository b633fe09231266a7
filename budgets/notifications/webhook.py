"""Writes what programs and chats get: a Slack-compatible message, or a signed event."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from budgets.channels import accounts, signing
from budgets.channels.models import Channel, ChannelKind
from budgets.notifications import email
from budgets.notifications.models import Notification
from budgets.notifications.words import wording
from budgets.notifications.words.message import Message, Table

CONTENT_TYPE = {"Content-Type": "application/json", "User-Agent": "Tollkeeper"}
SIGNS = {"bad": ":red_circle:", "warn": ":warning:", "good": ":white_check_mark:", "info": ":bell:"}


@dataclass(frozen=True, slots=True)
class Post:
    """A request that is ready to be sent; its address is a secret."""

    address: str
    body: bytes
    headers: dict[str, str]

    def __repr__(self) -> str:
        """Show nothing that a log should not hold."""
        return f"Post({len(self.body)} bytes)"


def compose(owed: Notification, channel: Channel, *, now: datetime) -> Post:
    """Write one message that is owed; reads within the caller's tenant transaction."""
    with email.spoken(owed):
        message = wording.told(owed.topic, owed.payload, now=now)
    if channel.kind == ChannelKind.SLACK:
        return Post(accounts.address(channel), _slack(message), CONTENT_TYPE)
    body = _event(owed, message)
    signed = signing.headers(
        str(owed.pk), body, secrets=accounts.secrets_of(channel, at=now), at=now
    )
    return Post(accounts.address(channel), body, CONTENT_TYPE | signed)


def _event(owed: Notification, message: Message) -> bytes:
    """Write an event: what happened, when, its figures as decimal strings, where to look."""
    said = {"title": message.subject, "text": message.fact, "url": email.link(message.path)}
    about = {name: value for name, value in owed.payload.items() if name != "path"}
    event = {
        "type": owed.topic,
        "timestamp": owed.created_at.isoformat(),
        "data": {**about, **said, "organization_id": str(owed.organization_id)},
    }
    return json.dumps(event, ensure_ascii=False).encode()


def _slack(message: Message) -> bytes:
    """Write text for notifications and plain readers, blocks for the others."""
    title = f"{SIGNS[message.level]} *{_escaped(message.subject)}*"
    blocks: list[dict[str, Any]] = [
        _section(f"{title}\n{_escaped(message.decision)}"),
        *[_section(_lines(table)) for table in message.tables],
        {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "text": {"type": "plain_text", "text": message.button},
                    "url": email.link(message.path),
                }
            ],
        },
    ]
    if message.rows:
        pairs = [f"*{_escaped(label)}*\n{_escaped(value)}" for label, value in message.rows]
        fields = [{"type": "mrkdwn", "text": text} for text in pairs[:10]]
        blocks.insert(1, {"type": "section", "fields": fields})
    if message.foot:
        foot = {"type": "mrkdwn", "text": _escaped(message.foot)}
        blocks.append({"type": "context", "elements": [foot]})
    return json.dumps({"text": _escaped(message.subject), "blocks": blocks}).encode()


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:2900]}}


def _lines(table: Table) -> str:
    rows = [" · ".join(map(_escaped, row)) for row in table.rows]
    head = " · ".join(map(_escaped, table.columns))
    return "\n".join([f"*{_escaped(table.title)}*", head, *rows])


def _escaped(text: str) -> str:
    """Escape what Slack would read as a link, a mention or a mark of the three letters it names."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
