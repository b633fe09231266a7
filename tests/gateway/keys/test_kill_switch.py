"""The kill switch on its pages: who may throw it over what, who is told, and who may lift it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from attribution.audit.models import AuditEntry
from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy import blocks
from attribution.tenancy.blocks import Target
from attribution.tenancy.models import Block, BlockedKind, Organization, Role
from gateway.keys import authentication, keyring, tokens
from gateway.keys.authentication import BlockedError
from tests.cast import Cast
from tests.factories import make_cost_center, make_department, make_member, make_user

LIST = "/kill-switch/"


@pytest.fixture
def browser(ours: Cast) -> Client:
    """Give finance's browser."""
    return ours.browser("finance")


def form(name: str, **fields: str) -> dict[str, str]:
    return {"name": name, "reason": "It leaked on a forum", "running": "finish", **fields}


def standing(ours: Cast) -> list[Block]:
    with tenant(ours.organization.pk):
        return list(blocks.standing())


def throw(ours: Cast, kind: BlockedKind, target: Any, name: str = "it") -> Block:
    with tenant(ours.organization.pk):
        return blocks.impose(
            Target(kind, target, name),
            reason="It leaked on a forum",
            is_cut=False,
            by=SYSTEM,
            at=timezone.now(),
        )


def addresses(ours: Cast) -> dict[str, tuple[str, str]]:
    """Return where each kind is blocked, and the name to type."""
    return {
        "organization": (reverse("gateway:organization-block"), ours.organization.name),
        "cost_center": (
            reverse("gateway:center-block", args=[ours.cost_center.pk]),
            str(ours.cost_center),
        ),
        "api_key": (reverse("gateway:key-block", args=[ours.key.pk]), ours.key.name),
    }


@pytest.mark.parametrize("kind", BlockedKind.values)
def test_finance_blocks_with_a_reason_and_the_name_and_unblocks(
    ours: Cast, browser: Client, kind: str
) -> None:
    url, name = addresses(ours)[kind]

    asked = browser.get(url).text
    browser.post(url, form(name, running="cut"))

    [block] = standing(ours)
    assert "at once" in asked
    assert (block.kind, block.target_name, block.is_cut) == (kind, name, True)
    assert block.blocked_by == ours.person("finance")
    page = browser.get("/").text
    assert "It leaked on a forum" in page
    assert "OURS finance" in page
    browser.post(reverse("gateway:block-lift", args=[block.pk]))
    assert not standing(ours)
    assert "It leaked on a forum" not in browser.get("/").text
    assert "It leaked on a forum" in browser.get(LIST).text
    with tenant(ours.organization.pk):
        actions = AuditEntry.objects.filter(object_id=str(block.pk)).order_by("at")
        assert [e.action for e in actions] == [f"{kind}.blocked", f"{kind}.unblocked"]
        assert {e.actor_id for e in actions} == {ours.person("finance").pk}


@pytest.mark.parametrize(
    "fields", [{"name": "something else"}, {"reason": " "}, {"running": "both"}]
)
def test_nothing_is_blocked_by_a_slip(ours: Cast, browser: Client, fields: dict[str, str]) -> None:
    url, name = addresses(ours)["organization"]

    answer = browser.post(url, form(name) | fields)

    assert answer.status_code == 200
    assert not standing(ours)


def test_every_throw_raises_the_policy_epoch(ours: Cast, browser: Client) -> None:
    def epoch() -> int:
        with tenant(ours.organization.pk):
            return Organization.objects.get(pk=ours.organization.pk).policy_epoch

    before = epoch()
    url, name = addresses(ours)["cost_center"]
    browser.post(url, form(name))
    blocked = epoch()
    [block] = standing(ours)
    browser.post(reverse("gateway:block-cut", args=[block.pk]))
    cut = epoch()
    browser.post(reverse("gateway:block-lift", args=[block.pk]))

    assert before < blocked < cut < epoch()


def test_calls_that_may_finish_are_cut_later_once(ours: Cast, browser: Client) -> None:
    block = throw(ours, BlockedKind.ORGANIZATION, ours.organization.pk)
    url = reverse("gateway:block-cut", args=[block.pk])

    assert browser.get(url).status_code == 200
    browser.post(url)
    again = browser.post(url, follow=True)

    assert standing(ours)[0].is_cut
    assert "nothing left to do" in again.text


def test_an_engineer_blocks_a_key_of_theirs_and_finance_alone_unblocks(ours: Cast) -> None:
    engineer = ours.browser("engineer")
    url, name = addresses(ours)["api_key"]

    engineer.post(url, form(name))

    [block] = standing(ours)
    lift = reverse("gateway:block-lift", args=[block.pk])
    page = engineer.get(reverse("gateway:key-show", args=[ours.key.pk])).text
    assert block.blocked_by == ours.person("engineer")
    assert "It leaked on a forum" in page
    assert lift not in page
    assert engineer.post(lift).status_code == 403
    assert engineer.get(LIST).status_code == 403
    assert standing(ours) == [block]


def test_a_key_that_is_blocked_says_so_in_the_list(ours: Cast, browser: Client) -> None:
    throw(ours, BlockedKind.API_KEY, ours.key.lineage, ours.key.name)

    assert ">blocked</span>" in browser.get("/keys/").text


def test_blocking_twice_leaves_the_first_reason(ours: Cast, browser: Client) -> None:
    block = throw(ours, BlockedKind.ORGANIZATION, ours.organization.pk)
    url, name = addresses(ours)["organization"]

    browser.post(url, form(name, reason="Another one"))

    assert standing(ours) == [block]


def test_who_is_narrowed_blocks_and_lifts_a_part_only(ours: Cast) -> None:
    person = make_user()
    with tenant(ours.organization.pk):
        mine = make_department(name="Mine")
        center = make_cost_center(code="MINE", department=mine)
        make_member(role=Role.FINANCE, user=person, department=mine)
    client = Client()
    client.force_login(person)
    everything = throw(ours, BlockedKind.ORGANIZATION, ours.organization.pk, "everything of ours")
    elsewhere = throw(ours, BlockedKind.COST_CENTER, ours.cost_center.pk, "elsewhere")

    client.post(reverse("gateway:center-block", args=[center.pk]), form(str(center)))

    page = client.get(LIST).text
    assert str(center) in page
    assert "elsewhere" not in page
    assert "everything of ours" in client.get("/").text
    assert client.post(reverse("gateway:organization-block")).status_code == 403
    foreign = reverse("gateway:center-block", args=[ours.cost_center.pk])
    assert client.get(foreign).status_code == 404
    for block in (everything, elsewhere):
        assert client.post(reverse("gateway:block-lift", args=[block.pk])).status_code == 404
    own = next(block for block in standing(ours) if block.target_id == center.pk)
    client.post(reverse("gateway:block-lift", args=[own.pk]))
    assert len(standing(ours)) == 2


def test_blocks_of_others_are_not_ours(ours: Cast, theirs: Cast, browser: Client) -> None:
    throw(theirs, BlockedKind.ORGANIZATION, theirs.organization.pk, "CANARY-B")

    assert "CANARY-B" not in browser.get("/").text
    assert "CANARY-B" not in browser.get(LIST).text


def test_names_and_reasons_are_text_and_no_markup(ours: Cast, browser: Client) -> None:
    throw(ours, BlockedKind.ORGANIZATION, ours.organization.pk, "<script>x</script>")

    page = browser.get("/").text

    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_the_admin_shows_the_banner_and_leads_to_the_switch(ours: Cast, browser: Client) -> None:
    throw(ours, BlockedKind.ORGANIZATION, ours.organization.pk)
    url = reverse("admin:attribution_costcenter_change", args=[ours.cost_center.pk])

    page = browser.get(url).text

    assert "It leaked on a forum" in page
    assert reverse("gateway:center-block", args=[ours.cost_center.pk]) in page


@pytest.mark.parametrize("kind", ["organization", "api_key"])
def test_a_blocked_key_is_refused_by_the_json_api(ours: Cast, kind: str) -> None:
    with tenant(ours.organization.pk):
        key, text = keyring.issue("program", by=SYSTEM)
    target = key.lineage if kind == "api_key" else ours.organization.pk
    headers = {"Authorization": f"Bearer {text}"}
    asked = [("get", "/costs/summary"), ("get", "/v1/analytics/costs"), ("post", "/v1/usage")]
    before = Client(headers=headers).get("/costs/summary")
    throw(ours, BlockedKind(kind), target, "the name")

    answers = [getattr(Client(headers=headers), method)(url) for method, url in asked]

    assert before.status_code == 200
    assert {answer.status_code for answer in answers} == {403}
    assert {answer.json()["error"]["code"] for answer in answers} == {"blocked"}
    assert all("the name" in answer.json()["error"]["message"] for answer in answers)
    assert all("forum" not in answer.text for answer in answers)
    token = tokens.parse(text)
    assert token is not None
    with pytest.raises(BlockedError):
        authentication.look_up(token)
