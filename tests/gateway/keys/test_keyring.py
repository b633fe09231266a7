"""Keys are issued, rotated and revoked; who presents them is known at once or not at all."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed, ParseError, PermissionDenied
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from attribution.audit.models import AuditEntry
from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from attribution.tenancy.program import Program
from gateway.keys import keyring, tokens
from gateway.keys.authentication import KeyAuthentication, look_up
from gateway.keys.models import ApiKey
from tests import factories

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


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


def test_a_successor_is_the_same_key_to_budgets_limits_and_reports(
    organization: Organization,
) -> None:
    with tenant(organization.pk):
        first, old = keyring.issue("batch", by=SYSTEM)
        second, new = keyring.rotate(first, by=SYSTEM, overlap_until=timezone.now() + HOUR)
        third, newest = keyring.rotate(second, by=SYSTEM, overlap_until=timezone.now() + HOUR)

    assert third.name == "batch"
    assert first.lineage == second.lineage == third.lineage == first.pk
    for text in (old, new, newest):
        known = found(text)
        assert known is not None
        assert known.key_id == first.pk


def test_a_use_is_noted_once_a_minute(organization: Organization) -> None:
    def noted() -> datetime | None:
        with tenant(organization.pk):
            return ApiKey.objects.get().last_used_at

    with tenant(organization.pk):
        _, text = keyring.issue("batch", by=SYSTEM)
    assert noted() is None

    found(text)
    first = noted()
    found(text)

    assert first is not None
    assert noted() == first
    with tenant(organization.pk):
        ApiKey.objects.update(last_used_at=first - HOUR)
    found(text)
    assert (noted() or first - HOUR) >= first


def test_a_key_does_only_what_its_scopes_say(organization: Organization) -> None:
    with tenant(organization.pk):
        _, text = keyring.issue("batch", by=SYSTEM, fields={"scopes": ["ingest"]})

    def asked(key_scope: str) -> Request:
        view = APIView()
        view.key_scope = key_scope  # type: ignore[attr-defined]  # as views of the JSON API have
        presented = APIRequestFactory().get("/v1/usage", headers={"X-API-Key": text})
        return Request(presented, parser_context={"view": view})

    assert KeyAuthentication().authenticate(asked("ingest")) is not None
    for other in ("costs", ""):
        with pytest.raises(PermissionDenied) as refused:
            KeyAuthentication().authenticate(asked(other))
        assert refused.value.get_codes() == "scope_not_allowed"


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
    with pytest.raises(ParseError):
        authentication.authenticate(request(**{"X-API-Key": "a", "Authorization": "Bearer b"}))
