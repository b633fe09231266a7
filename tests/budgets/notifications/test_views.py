"""A person reads their notes, chooses what they are told, and acknowledges for everybody."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.core import mail
from django.test import Client

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Role
from budgets.channels.models import Channel
from budgets.notifications import delivery, gathering
from budgets.notifications.models import Acknowledgement, Notification, Subscription
from tests.cast import Cast
from tests.factories import make_budget, make_call, make_member
from tests.messages import make_note

HISTORY = "/notifications/history/"


def notes(cast: Cast, role: str) -> int:
    """Return how many notes the bell of a person shows."""
    return int(cast.browser(role).get("/notifications/count/").json()["unread"])


def link_in(text: str, place: str) -> str:
    """Return the path of the link in a mail that leads to `place`."""
    [found] = [word for word in text.split() if f"/notifications/{place}/" in word]
    return "/notifications/" + found.partition("/notifications/")[2]


def test_a_note_is_read_by_going_where_it_leads_and_by_its_person_alone(ours: Cast) -> None:
    assert (notes(ours, "finance"), notes(ours, "owner")) == (1, 0)
    page = ours.browser("finance").get("/notifications/").text
    assert "OURS budget: raise of 100" in page

    looked = notes(ours, "finance")
    stranger = ours.browser("owner").post(f"/notifications/{ours.notification_id}/open/")
    gone = ours.browser("finance").post(f"/notifications/{ours.notification_id}/open/")

    assert looked == 1  # looking at the list reads nothing
    assert stranger.status_code == 404
    assert gone["Location"] == "/"
    assert notes(ours, "finance") == 0


def test_all_notes_are_read_at_once(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        make_note(ours.person("finance"))

    ours.browser("finance").post("/notifications/read/")

    assert notes(ours, "finance") == 0


def test_what_a_person_chooses_decides_about_mail_and_not_about_notes(ours: Cast) -> None:
    for role, choice in (("owner", "hard"), ("finance", "never")):
        answer = ours.browser(role).post(
            "/notifications/settings/", {"mail": choice, "digest": "weekly", "digest_hour": "9"}
        )
        assert answer.status_code == 302
    with tenant(ours.organization.pk):
        Notification.objects.filter(recipient="").update(done_at="2026-01-01T00:00Z")
        make_budget(limit="11.25", thresholds=["50", "100"], name="hard", enforcement="block")
        make_call(cost="6")
        make_call(cost="4")
    gathering.gather(ours.organization.pk)

    with tenant(ours.organization.pk):
        told = Notification.objects.filter(topic="budget.threshold").exclude(recipient="")
        mails = told.filter(channel="email", place=None)
        owner, finance = ours.person("owner"), ours.person("finance")
        assert mails.filter(person=owner).count() == 1  # when calls are refused
        assert mails.filter(person=finance).count() == 0
        assert told.filter(person=finance, channel="in_app").count() == 2
        assert Subscription.objects.count() == 2


def test_a_mails_link_shows_on_get_and_acknowledges_for_everybody_on_post(ours: Cast) -> None:
    gathering.gather(ours.organization.pk)
    delivery.deliver(ours.organization.pk)
    to_finance = [m for m in mail.outbox if m.to == [ours.person("finance").email]]
    path = link_in(str(to_finance[0].body), "acknowledge")

    stranger = Client().get(path)
    shown = ours.browser("finance").get(path)
    with tenant(ours.organization.pk):
        after_get = Acknowledgement.objects.count()
    ours.browser("finance").post(path)
    again = ours.browser("manager").post(path)

    assert stranger.status_code == 302
    assert stranger["Location"].startswith("/sign-in/")
    assert shown.status_code == 200
    assert after_get == 0
    assert "OURS finance acknowledged this" in again.text.replace("\n", " ")
    with tenant(ours.organization.pk):
        assert Acknowledgement.objects.count() == 1


def test_a_link_that_was_altered_or_is_of_others_opens_nothing(ours: Cast, theirs: Cast) -> None:
    gathering.gather(theirs.organization.pk)
    delivery.deliver(theirs.organization.pk)
    path = link_in(str(mail.outbox[0].body), "acknowledge")

    assert ours.browser("finance").get(path).status_code == 404
    assert theirs.browser("finance").get(f"{path[:-2]}x/").status_code == 404


def test_a_link_of_another_organization_of_mine_offers_to_change_there(
    ours: Cast, theirs: Cast
) -> None:
    gathering.gather(theirs.organization.pk)
    delivery.deliver(theirs.organization.pk)
    path = link_in(str(mail.outbox[0].body), "acknowledge")
    with tenant(theirs.organization.pk):
        make_member(role=Role.AUDITOR, user=ours.person("finance"))
    browser = ours.browser("finance")
    browser.post("/organization/", {"organization": ours.organization.slug})

    answer = browser.post(path)

    assert answer.status_code == 409
    assert f"Change to {theirs.organization.name}" in answer.text
    with tenant(theirs.organization.pk):
        assert not Acknowledgement.objects.exists()


def test_the_history_shows_who_was_told_what_and_sends_again(ours: Cast) -> None:
    gathering.gather(ours.organization.pk)
    delivery.deliver(ours.organization.pk)
    browser = ours.browser("finance")

    page = browser.get(HISTORY, {"channel": "email", "state": "delivered"}).text
    with tenant(ours.organization.pk):
        first = Notification.objects.filter(channel="email").earliest("created_at")
    sent = len(mail.outbox)
    answer = browser.post(f"{HISTORY}{first.pk}/resend/")
    delivery.deliver(ours.organization.pk)

    assert first.recipient in page
    assert answer["Location"] != f"{HISTORY}{first.pk}/"
    assert len(mail.outbox) == sent + 1
    assert (
        mail.outbox[-1].subject == next(m for m in mail.outbox if m.to == [first.recipient]).subject
    )
    assert "No message is like this" in browser.get(HISTORY, {"state": "failed"}).text


def test_the_test_button_sends_to_the_channel_and_the_history_tells(ours: Cast) -> None:
    browser = ours.browser("finance")

    browser.post(f"/channels/{ours.channel.pk}/test/")
    gathering.gather(ours.organization.pk)
    delivery.deliver(ours.organization.pk)

    assert [ours.channel.mailbox] in [message.to for message in mail.outbox]
    page = browser.get(HISTORY, {"topic": "channel.test"}).text
    assert "Test message to OURS channel" in page


def test_the_history_does_not_ask_once_per_row(
    ours: Cast, django_assert_max_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    with tenant(ours.organization.pk):
        for _ in range(8):
            make_note(ours.person("finance"))
    browser = ours.browser("finance")

    with django_assert_max_num_queries(15):
        browser.get(HISTORY)
    with django_assert_max_num_queries(15):
        browser.get("/notifications/")


def test_pages_follow_each_other_without_a_gap_though_all_are_of_one_instant(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        for _ in range(60):
            make_note(ours.person("finance"))
        Notification.objects.update(created_at="2026-11-22T12:00:00Z")
    browser = ours.browser("finance")

    first = browser.get("/notifications/").text
    [following] = re.findall(r'href="(\?before=[^"]+)"', first)
    second = browser.get(f"/notifications/{following.replace('&amp;', '&')}").text

    shown = re.findall(r"/notifications/([0-9a-f-]{36})/open/", first + second)
    assert len(shown) == len(set(shown)) == 61


@pytest.mark.parametrize("query", ["before=x", "state=x&topic=y&channel=z", "before=2026-01-01"])
def test_a_url_that_means_nothing_narrows_nothing(ours: Cast, query: str) -> None:
    assert ours.browser("finance").get(f"{HISTORY}?{query}").status_code == 200
    assert ours.browser("finance").get(f"/notifications/?{query}").status_code == 200


def test_a_webhooks_secret_is_shown_once_and_its_address_never(ours: Cast) -> None:
    browser = ours.browser("finance")
    url = "https://hooks.example.com/services/very-secret-path"

    made = browser.post(
        "/channels/add/", {"name": "erp", "kind": "webhook", "address": url, "is_active": "on"}
    )
    with tenant(ours.organization.pk):
        channel = Channel.objects.get(name="erp")
    page = browser.get(f"/channels/{channel.pk}/").text

    assert "whsec_" in made.text
    assert made["Cache-Control"] == "no-store"
    assert "whsec_" not in page
    assert "very-secret" not in page
    assert "hooks.example.com/…path" in page


@pytest.mark.parametrize(
    "address",
    ["http://10.0.0.1/", "https://127.0.0.1/", "ftp://example.com", "https://a:b@example.com/"],
)
def test_an_address_that_may_not_be_reached_is_refused_in_words(ours: Cast, address: str) -> None:
    answer = ours.browser("finance").post(
        "/channels/add/", {"name": "bad", "kind": "slack", "address": address, "is_active": "on"}
    )

    assert answer.status_code == 200
    assert "Nothing was saved yet" in answer.text
    with tenant(ours.organization.pk):
        assert not Channel.objects.filter(name="bad").exists()


def test_a_channel_is_changed_rotated_and_put_away(ours: Cast) -> None:
    browser = ours.browser("finance")
    path = f"/channels/{ours.channel.pk}/"

    assert "data-kind" in browser.get(f"{path}change/").text
    assert "Nothing was saved yet" in browser.post(f"{path}change/", {}).text
    assert "Nothing was saved yet" in browser.post("/channels/add/", {}).text
    browser.post(
        f"{path}change/", {"name": "renamed", "mailbox": "x@example.com", "is_active": "on"}
    )
    rotated = browser.post(f"{path}rotate/")
    browser.post(f"{path}archive/")

    assert rotated.status_code == 200  # a mailbox has no secret
    assert browser.get(path).status_code == 404
    with tenant(ours.organization.pk):
        ours.channel.refresh_from_db()
    assert (ours.channel.name, ours.channel.is_active) == ("renamed", False)
