"""Chats and programs get what they can read, signed, and one that is gone is left alone."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from attribution.audit.models import AuditEntry
from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization, Role
from budgets.channels import accounts
from budgets.channels.models import Channel
from budgets.notifications import delivery, gathering, history
from budgets.notifications.models import Notification
from tests.factories import (
    make_budget,
    make_call,
    make_cost_center,
    make_department,
    make_member,
    make_organization,
)

pytestmark = pytest.mark.usefixtures("committed")


class Receiver(BaseHTTPRequestHandler):
    """Notes what is posted and answers with the status of the hour."""

    seen: list[tuple[dict[str, str], bytes]] = []
    status = 200

    def do_POST(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.seen.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(Receiver.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """Listen, and let the operator permit it."""
    Receiver.seen, Receiver.status = [], 200
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    settings.TOLLKEEPER_EGRESS_ALLOW = [f"127.0.0.1:{server.server_port}"]
    yield f"http://127.0.0.1:{server.server_port}/hooks/secret-path"
    server.shutdown()
    server.server_close()


def channel(kind: str, url: str, **columns: Any) -> tuple[Channel, str]:
    """Make a channel; return it with its signing secret."""
    made = Channel(name=f"{kind} channel", kind=kind, **columns)
    accounts.put_address(made, url)
    return made, accounts.make(made, by=SYSTEM)


def crossed(organization: Organization) -> None:
    """Cross a threshold of a budget that nobody is told of but channels."""
    with tenant(organization.pk):
        make_budget(name="<RND>", limit="10", thresholds=["80"])
        make_call(cost="9")
    gathering.gather(organization.pk)


def test_a_program_gets_a_signed_event_with_exact_figures(address: str) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        _, secret = channel("webhook", address)
    crossed(organization)

    assert delivery.deliver(organization.pk) == 1

    [(headers, body)] = Receiver.seen
    event = json.loads(body)
    assert event["type"] == "budget.threshold"
    assert (event["data"]["actual"], event["data"]["limit"]) == ("9", "10")
    assert Decimal(event["data"]["threshold"]) == 80
    signed = b".".join(
        [headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body]
    )
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_after_a_rotation_both_secrets_sign_for_a_day(address: str) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        made, old = channel("webhook", address)
        new = accounts.rotate(made, by=SYSTEM, at=timezone.now())
        now = timezone.now()

        assert accounts.secrets_of(made, at=now) == [new, old]
        assert accounts.secrets_of(made, at=now + timedelta(hours=25)) == [new]


def test_a_chat_gets_text_and_blocks_in_which_names_are_no_markup(address: str) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        channel("slack", address)
    crossed(organization)

    delivery.deliver(organization.pk)

    [(_, body)] = Receiver.seen
    message = json.loads(body)
    assert message["text"].startswith("&lt;RND&gt;: 90 % of ")
    assert {block["type"] for block in message["blocks"]} >= {"section", "actions"}
    assert b"<RND>" not in body


def test_an_attempt_later_has_the_same_id(address: str) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        channel("webhook", address)
    crossed(organization)
    Receiver.status = 500
    assert delivery.deliver(organization.pk) == 0
    with tenant(organization.pk):
        (row,) = Notification.objects.filter(channel="webhook")
        assert "500" in row.last_error
        Notification.objects.filter(pk=row.pk).update(available_at=timezone.now())
    Receiver.status = 204

    assert delivery.deliver(organization.pk) == 1

    ids = {headers["webhook-id"] for headers, _ in Receiver.seen}
    assert ids == {str(row.pk)}


def test_one_that_is_gone_for_good_is_switched_off(address: str) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        made, _ = channel("webhook", address)
    crossed(organization)
    Receiver.status = 410

    assert delivery.deliver(organization.pk) == 0

    with tenant(organization.pk):
        made.refresh_from_db()
        (row,) = Notification.objects.filter(channel="webhook")
        assert row.given_up_at is not None
        assert not made.is_active
        assert made.refused_at is not None
        assert AuditEntry.objects.filter(action="channel.refused").exists()


def test_an_address_that_may_not_be_reached_is_never_called(
    address: str, settings: Settings
) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        channel("webhook", address)
    settings.TOLLKEEPER_EGRESS_ALLOW = []
    crossed(organization)

    assert delivery.deliver(organization.pk) == 0

    assert Receiver.seen == []


def test_what_waits_for_a_channel_that_was_put_away_is_given_up(address: str) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        made, _ = channel("webhook", address)
    crossed(organization)
    with tenant(organization.pk):
        accounts.archive(made, by=SYSTEM, at=timezone.now())

    delivery.deliver(organization.pk)

    with tenant(organization.pk):
        (row,) = Notification.objects.filter(channel="webhook")
    assert row.given_up_at is not None
    assert Receiver.seen == []


def test_a_secret_that_does_not_open_holds_nobody_else_up(address: str, settings: Settings) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        channel("webhook", address)
        make_member(role=Role.OWNER)
    crossed(organization)
    settings.SECRET_KEY = "another secret that sealed nothing of this"

    assert delivery.deliver(organization.pk) == 1

    with tenant(organization.pk):
        (row,) = Notification.objects.filter(channel="webhook")
    assert "SealError" in row.last_error


def test_a_channel_hears_only_of_its_topics_and_its_department(address: str) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        upper = make_department()
        center = make_cost_center(department=make_department(parent=upper))
        channel("slack", address, department=upper)
        channel("webhook", address, topics=["anomaly.found"])
        make_budget(limit="10", thresholds=["80"], name="all of it")
        make_budget(limit="10", thresholds=["80"], scope="cost_center", scope_id=center.pk)
        make_call(cost="9")
    gathering.gather(organization.pk)

    with tenant(organization.pk):
        assert not Notification.objects.exclude(place=None).exists()


def test_sending_again_is_a_row_of_its_own_that_names_the_first(address: str) -> None:
    organization = make_organization()
    with tenant(organization.pk):
        channel("webhook", address)
    crossed(organization)
    delivery.deliver(organization.pk)
    with tenant(organization.pk):
        (first,) = Notification.objects.filter(channel="webhook")
        again = history.resend(first, by=SYSTEM, at=timezone.now())

    assert delivery.deliver(organization.pk) == 1

    assert again.resends_id == first.pk
    assert [headers["webhook-id"] for headers, _ in Receiver.seen] == [
        str(first.pk),
        str(again.pk),
    ]
    with tenant(organization.pk):
        assert AuditEntry.objects.filter(action="notification.resent").count() == 1
