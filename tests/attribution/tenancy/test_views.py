"""Signing in and out, and choosing organization, language and theme."""

import pytest
from django.test import Client
from django.urls import reverse

from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Role, User
from tests.factories import PASSWORD, make_member, make_organization, make_user

pytestmark = pytest.mark.usefixtures("db")
SIGN_IN = "/sign-in/"


def test_a_person_signs_in_and_lands_on_the_overview() -> None:
    person = member()
    browser = Client()

    answer = browser.post(SIGN_IN, {"username": person.email, "password": PASSWORD})

    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert browser.get("/").status_code == 200


def test_an_address_is_the_same_in_capitals() -> None:
    person = member()

    answer = Client().post(SIGN_IN, {"username": person.email.upper(), "password": PASSWORD})

    assert answer.status_code == 302


@pytest.mark.parametrize("username", ["nobody@example.com", "KNOWN"])
def test_a_wrong_sign_in_says_the_same_for_strangers_and_members(username: str) -> None:
    known = member().email
    email = known if username == "KNOWN" else username

    page = Client().post(SIGN_IN, {"username": email, "password": "wrong"}).content.decode()

    assert "Please enter a correct" in page
    assert 'role="alert"' in page


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ("/overview/daily.csv", "/overview/daily.csv"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_after_signing_in_only_our_own_addresses_are_followed(wanted: str, where: str) -> None:
    person = member()

    answer = Client().post(
        SIGN_IN, {"username": person.email, "password": PASSWORD, "next": wanted}
    )

    assert answer["Location"] == where


def test_signing_out_ends_the_session() -> None:
    browser = signed_in(member())

    browser.post(reverse("attribution:sign-out"))

    assert browser.get("/").status_code == 302


def test_a_person_switches_between_their_organizations_only() -> None:
    person = make_user()
    first, second = (joined(person, name) for name in ("Alpha", "Beta"))
    foreign = make_organization(name="Gamma")
    browser = signed_in(person)

    assert first in browser.get("/").content.decode()
    answer = browser.post(reverse("attribution:organization-switch"), {"organization": second})
    refused = browser.post(
        reverse("attribution:organization-switch"), {"organization": foreign.slug}
    )

    assert (answer.status_code, refused.status_code) == (302, 404)
    assert f'value="{second}" aria-current="true"' in browser.get("/").content.decode()


def test_a_language_is_kept_for_the_browser_and_for_the_person() -> None:
    person = member()
    browser = signed_in(person)

    browser.post(reverse("attribution:language-choose"), {"language": "fr", "next": "/"})

    assert '<html lang="fr"' in browser.get("/").content.decode()
    person.refresh_from_db()
    assert person.language == "fr"


def test_a_theme_is_kept_and_comes_along_to_the_next_device() -> None:
    person = member()
    signed_in(person).post(reverse("attribution:theme-choose"), {"theme": "dark"})

    elsewhere = Client()
    elsewhere.post(SIGN_IN, {"username": person.email, "password": PASSWORD})

    assert 'data-theme="dark"' in elsewhere.get("/").content.decode()


@pytest.mark.parametrize(
    ("name", "form"), [("language", {"language": "tlh"}), ("theme", {"theme": "pink"})]
)
def test_a_choice_that_does_not_exist_is_refused(name: str, form: dict[str, str]) -> None:
    assert Client().post(reverse(f"attribution:{name}-choose"), form).status_code == 400


@pytest.mark.parametrize("name", ["sign-out", "organization-switch", "theme-choose"])
def test_nothing_happens_on_a_get(name: str) -> None:
    assert signed_in(member()).get(reverse(f"attribution:{name}")).status_code == 405


def test_every_form_is_protected_against_forgery() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(member())

    page = browser.get("/").content.decode()
    answer = browser.post(reverse("attribution:theme-choose"), {"theme": "dark"})

    assert page.count('method="post"') == page.count("csrfmiddlewaretoken")
    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()


def member() -> User:
    person = make_user()
    joined(person, "Acme")
    return person


def joined(person: User, name: str) -> str:
    organization = make_organization(name=name)
    with tenant(organization.pk):
        make_member(role=Role.MANAGER, user=person)
    return organization.slug


def signed_in(person: User) -> Client:
    browser = Client()
    browser.force_login(person)
    return browser
