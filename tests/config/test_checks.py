"""System checks: what a deployment must not be, each found by its id."""

import io

import pytest
from django.core.checks import CheckMessage
from django.core.management import call_command
from pytest_django.fixtures import Settings

from config import checks
from gateway.upstreams import envelope


def ids(found: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in found]


def test_missing_secrets_are_errors(settings: Settings) -> None:
    assert not checks.secrets_are_present(None)

    settings.TOLLKEEPER_WRAP_KEY = ""
    settings.TOLLKEEPER_KEY_PEPPER = "1:c2hvcnQ="

    assert ids(checks.secrets_are_present(None)) == ["tollkeeper.E001", "tollkeeper.E001"]


def test_web_seals_credentials_and_must_not_open_them(settings: Settings) -> None:
    private = settings.TOLLKEEPER_WRAP_KEY
    settings.TOLLKEEPER_WRAP_PUBLIC_KEY = envelope.encoded(envelope.sealing_key("", private))
    assert not checks.wrap_keys_are_apart(None)

    settings.TOLLKEEPER_ROLE = "web"
    assert ids(checks.wrap_keys_are_apart(None)) == ["tollkeeper.W010"]
    settings.TOLLKEEPER_WRAP_KEY = ""
    assert not checks.wrap_keys_are_apart(None)
    assert not checks.secrets_are_present(None)
    settings.TOLLKEEPER_WRAP_PUBLIC_KEY = ""
    assert ids(checks.secrets_are_present(None)) == ["tollkeeper.E001"]


def test_wrap_keys_that_do_not_fit_are_an_error(settings: Settings) -> None:
    settings.TOLLKEEPER_WRAP_PUBLIC_KEY = settings.TOLLKEEPER_WRAP_KEY

    assert ids(checks.wrap_keys_are_apart(None)) == ["tollkeeper.E011"]


def test_the_command_prints_a_pair_that_fits(settings: Settings) -> None:
    def printed() -> dict[str, str]:
        out = io.StringIO()
        call_command("make_wrap_key", stdout=out)
        return {line.partition("=")[0]: line.partition("=")[2] for line in out.getvalue().split()}

    settings.TOLLKEEPER_WRAP_KEY = ""
    pair = printed()
    settings.TOLLKEEPER_WRAP_KEY = pair["TOLLKEEPER_WRAP_KEY"]

    public = envelope.sealing_key(pair["TOLLKEEPER_WRAP_PUBLIC_KEY"], "")
    private = envelope.private_key(pair["TOLLKEEPER_WRAP_KEY"])
    sealed = envelope.seal("sk-secret", public, associated=b"place")
    assert envelope.unseal(sealed, private, associated=b"place") == "sk-secret"
    assert printed() == {"TOLLKEEPER_WRAP_PUBLIC_KEY": pair["TOLLKEEPER_WRAP_PUBLIC_KEY"]}


def test_wildcards_are_errors(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.TOLLKEEPER_TRUSTED_PROXIES = ["*"]

    assert ids(checks.origins_are_safe(None)) == ["tollkeeper.E002", "tollkeeper.E003"]


def test_one_origin_for_both_roles_is_a_warning(settings: Settings) -> None:
    settings.TOLLKEEPER_ROLE = "web"
    assert ids(checks.origins_are_safe(None)) == ["tollkeeper.W004"]

    settings.TOLLKEEPER_API_URL = "https://api.tollkeeper.example"
    assert not checks.origins_are_safe(None)


@pytest.mark.parametrize(
    ("entry", "warned"),
    [
        ("127.0.0.1:4010", True),
        ("[::1]:80", True),
        ("localhost:80", True),
        ("169.254.0.5:80", True),
        ("10.0.0.5:8000", False),
    ],
)
def test_local_egress_is_a_warning(settings: Settings, entry: str, *, warned: bool) -> None:
    settings.TOLLKEEPER_EGRESS_ALLOW = [entry]

    assert bool(checks.egress_is_narrow(None)) is warned


def test_a_broker_without_password_is_a_warning(settings: Settings) -> None:
    settings.REDIS_URL = "redis://redis:6379/0"
    assert ids(checks.redis_is_guarded(None)) == ["tollkeeper.W006"]

    settings.REDIS_URL = "rediss://:secret@redis:6379/0"
    assert not checks.redis_is_guarded(None)


@pytest.mark.django_db
def test_the_tests_role_is_bound_but_their_server_forgets() -> None:
    found = checks.database_role_is_bound(None, databases=["default"])

    assert set(ids(found)) == {"tollkeeper.E009"}
