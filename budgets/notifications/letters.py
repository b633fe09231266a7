"""Messages ready to travel, and the carrier that sends them: the only way out of the room."""

import contextlib
import smtplib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from attribution.outbound.addresses import Exceptions
from attribution.outbound.client import Client
from budgets.channels.models import ChannelKind
from budgets.notifications import email, webhook
from budgets.notifications.models import Notification
from budgets.notifications.webhook import Post

SEND_S = 20  # patience with each step of a mail server
GONE = 410

Letter = EmailMessage | Post


class RefusedError(Exception):
    """The receiver answered that it does not take the message."""

    code = "message_refused"

    def __init__(self, status: int) -> None:
        super().__init__(f"it answered {status}")
        self.is_final = status == GONE  # Standard Webhooks: do not come again


class ChannelClosedError(Exception):
    """The channel was switched off or put away before the message went out."""

    code = "channel_closed"


def compose(owed: Notification, *, now: datetime) -> Letter:
    """Write a message for its channel; reads within the caller's tenant transaction.

    Raises ChannelClosedError or SealError for what cannot be sent there.
    """
    if owed.place is not None and not owed.place.is_active:
        raise ChannelClosedError("the channel is switched off")
    if owed.channel == ChannelKind.EMAIL or owed.place is None:
        return email.compose(owed, now=now)
    return webhook.compose(owed, owed.place, now=now)


@dataclass(slots=True)
class Carrier:
    """Sends letters one after the other, mail over one connection."""

    _mail: Any = None
    _client: Client | None = None

    def send(self, letter: Letter) -> None:
        """Send one; raises OSError, SMTPException or RefusedError when it was not taken."""
        if isinstance(letter, Post):
            self._post(letter)
        else:
            self._hand_over(letter)

    def close(self) -> None:
        """Take leave of the mail server."""
        mail, self._mail = self._mail, None
        if mail is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                mail.close()

    def _post(self, letter: Post) -> None:
        if self._client is None:
            self._client = Client(exceptions=Exceptions(settings.TOLLKEEPER_EGRESS_ALLOW))
        answer = self._client.post(letter.address, letter.body, headers=letter.headers)
        if not answer.is_success:
            raise RefusedError(answer.status)

    def _hand_over(self, letter: EmailMessage) -> None:
        """Send a mail; a connection that the server closed meanwhile is opened anew, once.

        Taking leave (QUIT) comes later: what was confirmed is noted first.
        """
        is_fresh = self._mail is None
        try:
            self._opened().send_messages([letter])
        except smtplib.SMTPServerDisconnected:
            self.close()
            if is_fresh:
                raise
            self._opened().send_messages([letter])
        except (smtplib.SMTPException, OSError):
            self.close()
            raise

    def _opened(self) -> Any:
        if self._mail is None:
            self._mail = get_connection(timeout=SEND_S)
            self._mail.open()
        return self._mail
