"""The demo's upstreams: the built-in one always, a provider's where its key is in the environment."""

import pytest
from django.conf import settings
from django.utils import timezone

from attribution.isolation.transaction import tenant
from config.demo import upstreams
from gateway.routes.models import Route, RouteTarget
from gateway.upstreams import envelope, kinds
from gateway.upstreams.models import Upstream
from tests.factories import make_organization

pytestmark = pytest.mark.django_db
SECRET = "sk-not-a-real-key-0123456789"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in upstreams.PROVIDERS:
        monkeypatch.delenv(variable, raising=False)


def test_without_keys_only_the_demo_answers() -> None:
    with tenant(make_organization().pk):
        upstreams.create(at=timezone.now())

        assert list(Route.objects.filter(is_active=True).values_list("name", flat=True)) == ["demo"]


def test_a_key_at_hand_becomes_an_upstream_that_only_a_gateway_can_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    organization = make_organization()
    with tenant(organization.pk):
        upstreams.create(at=timezone.now())
        made = Upstream.objects.get(name="openai")
        targets = RouteTarget.objects.filter(upstream=made).values_list("route__name", flat=True)

        assert "gpt-*" in targets
        assert SECRET.encode() not in bytes(made.credential_sealed or b"")
        origin, _ = kinds.address("openai", "")
        bound = envelope.bound_to(organization.pk, made.pk, origin, made.credential_version)
        private = envelope.private_key(settings.TOLLKEEPER_WRAP_KEY)
        sealed = bytes(made.credential_sealed or b"")
        assert envelope.unseal(sealed, private, associated=bound) == SECRET
