"""The permission table against the resolver: every URL, method and actor."""

import pytest
from django.conf import settings
from django.test import Client

from attribution.tenancy import roles
from attribution.tenancy.models import Role
from tests.architecture.addresses import Address, every_address
from tests.cast import Cast

METHODS = ("GET", "POST")
OTHERS = ("OPTIONS", "PUT", "DELETE")
REFUSED = {401, 403, 404}
ANSWERS = {  # what an empty request is told where it is allowed
    "attribution:organization-switch": {404, 405},
    "budgets:notification-acknowledge": {404, 405},  # the link is forged
    "budgets:notification-open": {302, 404, 405},  # a note is one person's
    "budgets:usage-record": {401, 405},  # a key's business, whoever is signed in
    "gateway:health-ready": {200, 405, 503},
}
LEAVES = {"attribution:sign-out", "admin:logout"}  # afterwards the actor is nobody


def knock(client: Client, method: str, url: str) -> int:
    """Return the status of a request with an empty body."""
    return client.generic(method, url).status_code


def test_every_url_has_a_row() -> None:
    unlisted = [a.name for a in every_address() if roles.rule(a.name) is None]

    assert not unlisted


def test_every_row_has_a_url() -> None:
    named = {address.name for address in every_address()}

    assert not set(roles.TABLE) - named
    assert not {f"admin:{rows}_changelist" for rows in roles.ROWS} - named


@pytest.mark.parametrize("role", Role.values)
def test_a_role_gets_what_the_table_says(ours: Cast, role: str) -> None:
    client, wrong = ours.browser(role), []
    for address in every_address():
        if address.name in LEAVES:
            continue
        for method in METHODS:
            status = knock(client, method, address.of(ours))
            if problem := differs(address, method, role, status):
                wrong.append(problem)

    assert not wrong


def test_other_methods_follow_the_same_rows(ours: Cast) -> None:
    client, wrong = ours.browser("engineer"), []
    for address in every_address():
        if address.name in LEAVES:
            continue
        for method in OTHERS:
            status = knock(client, method, address.of(ours))
            if problem := differs(address, method, "engineer", status):
                wrong.append(problem)

    assert not wrong


@pytest.mark.parametrize("role", ["owner", "auditor"])
def test_the_outsider_gets_404_for_our_rows(ours: Cast, theirs: Cast, role: str) -> None:
    client, wrong = theirs.browser(role), []
    for address in every_address():
        rule = roles.rule(address.name)
        if not address.is_of_a_row or rule is None:
            continue
        for method in METHODS:
            status = knock(client, method, address.of(ours))
            expected = {404} if rule.allows(method, role) else {403, 404}
            if status not in expected:
                wrong.append((address.name, method, status))

    assert not wrong


def test_a_stranger_is_sent_to_sign_in_everywhere(ours: Cast) -> None:
    client, wrong = Client(), []
    for address in every_address():
        rule = roles.rule(address.name)
        for method in METHODS:
            answer = client.generic(method, address.of(ours))
            is_sent = answer.status_code == 302 and answer["Location"].startswith("/sign-in/")
            if rule is not None and not rule.is_open(method) and not is_sent:
                wrong.append((address.name, method, answer.status_code))

    assert not wrong


def test_a_url_without_a_row_is_not_there(ours: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = ours.browser("owner")
    assert browser.get("/admin/").status_code == 200

    monkeypatch.delitem(roles.TABLE, "admin:index")

    assert browser.get("/admin/").status_code == 404


def test_writes_need_a_token_of_the_form(ours: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ours.person("owner"))

    answer = client.post("/admin/attribution/costcenter/add/", {"code": "X", "name": "X"})

    assert answer.status_code == 403
    assert settings.SESSION_COOKIE_SAMESITE == "Lax"


def differs(address: Address, method: str, role: str, status: int) -> tuple[object, ...] | None:
    """Return what is wrong with an answer, if anything is."""
    rule = roles.rule(address.name)
    if rule is None or not (rule.allows(method, role) or rule.is_open(method)):
        is_fine = status in {403, 405}
    elif address.name in ANSWERS:
        is_fine = status in ANSWERS[address.name]
    else:
        is_fine = status < 500 and status not in REFUSED
    return None if is_fine else (address.name, method, role, status)
