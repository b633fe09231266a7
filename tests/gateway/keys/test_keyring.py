"""Keys are issued, rotated and revoked; who presents them is known at once or not at all."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from attribution.audit.models import AuditEntry
from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from gateway.keys import keyring, tokens
from gateway.keys.authentication import KeyAuthentication, Program, look_up
from gateway.keys.models import ApiKey
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return factories.make_organization()


def found(text: str) -> Program | None:
    token = tokens.parse(text)
    return look_up(token) if token else None


def request(**headers: str) -> Request:
    return Request(APIRequestFactory().get("/v1/usage", headers=headers))


def test_an_issued_key_is_known_by_its_text_and_its_secret_is_not_kept(
    organization: Organization,
) -> None:
    with tenant(organization.pk):
        key, text = keyring.issue("batch", by=SYSTEM)
        stored = ApiKey.objects.filter(pk=key.pk).values().get()
        entry = AuditEntry.objects.get(object_id=str(key.pk))

    secret = text.split("_")[3]
    assert all(secret not in str(value) for value in stored.values())
    assert entry.action == "api_key.issued"
    assert found(text) == Program(key.pk, organization.pk, "batch")


def test_a_revoked_key_is_unknown_and_raises_the_policy_epoch(organization: Organization) -> None:
    with tenant(organization.pk):
        key, text = keyring.issue("batch", by=SYSTEM)
        before = Organization.objects.get(pk=organization.pk).policy_epoch
        keyring.revoke(key, by=SYSTEM, at=timezone.now())
        after = Organization.objects.get(pk=organization.pk).policy_epoch

    assert after == before + 1
    assert found(text) is None


def test_a_rotated_key_works_until_its_overlap_ends(organization: Organization) -> None:
    until = timezone.now() + timedelta(hours=1)
    with tenant(organization.pk):
        key, old = keyring.issue("batch", by=SYSTEM, fields={"user_name": "ada"})
        successor, new = keyring.rotate(key, by=SYSTEM, name="batch 2", overlap_until=until)

    assert successor.user_name == "ada"
    assert found(old) is not None
    assert found(new) is not None
    with tenant(organization.pk):
        ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    assert found(old) is None


def test_the_json_api_accepts_a_key_in_any_of_its_headers(organization: Organization) -> None:
    with tenant(organization.pk):
        _, text = keyring.issue("batch", by=SYSTEM)

    for headers in ({"Authorization": f"Bearer {text}"}, {"X-API-Key": text}):
        known = KeyAuthentication().authenticate(request(**headers))
        assert known is not None
        assert known[1].organization_id == organization.pk


def test_the_json_api_refuses_wrong_and_conflicting_keys_and_leaves_others_alone() -> None:
    authentication = KeyAuthentication()

    assert authentication.authenticate(request()) is None
    with pytest.raises(AuthenticationFailed):
        authentication.authenticate(request(Authorization="Bearer tk_live_nothing"))
    with pytest.raises(AuthenticationFailed):
        authentication.authenticate(request(**{"X-API-Key": "a", "Authorization": "Bearer b"}))
