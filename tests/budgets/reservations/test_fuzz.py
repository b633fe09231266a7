"""Whatever a program reports or presents: no answer of 5xx, and nothing half recorded."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.usage.models import UsageRecord
from budgets.reservations import books
from budgets.reservations.reported import FIELDS
from gateway.keys import keyring
from tests.factories import make_organization

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\0", "\ud800", "1e400", "-0", "NaN", "9999-12-31T23:59:59.999999Z", 2**53])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["input", "output", "k", "\0"]), inner, max_size=3)
    ),
    max_leaves=5,
)
FUZZ = settings(
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=80,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def good(event_id: str) -> dict[str, Any]:
    """Return an event that is recorded."""
    told = {"source": "fuzz", "event_id": event_id, "occurred_at": timezone.now().isoformat()}
    return {**told, "model": "m", "usage": {"input": 5}}


def knock(body: bytes, **headers: str) -> Any:
    """Report something."""
    return Client().post("/v1/usage", body, content_type="application/json", headers=headers)


@pytest.mark.usefixtures("committed")
def test_strange_events_are_rejected_one_by_one() -> None:
    organization = make_organization()
    with tenant(organization.pk):
        _key, token = keyring.issue("fuzz", by=SYSTEM)
    recorded = 0

    @FUZZ
    @given(changes=st.dictionaries(st.sampled_from(sorted(FIELDS)), values, min_size=1, max_size=3))
    def send(changes: dict[str, Any]) -> None:
        nonlocal recorded
        body = {"events": [{**good("changed"), **changes}, good("good")]}
        answer = knock(json.dumps(body).encode(), **{"x-api-key": token})
        assert answer.status_code < 500, (changes, answer.content[:300])
        if answer.status_code < 400:
            recorded += json.loads(answer.content)["recorded"]

    send()

    with tenant(organization.pk):
        assert UsageRecord.objects.count() == recorded
        assert not books.verify()


@pytest.mark.usefixtures("committed")
def test_strange_keys_and_bodies_are_refused() -> None:
    names = st.sampled_from(["Authorization", "x-api-key", "x-goog-api-key"])

    @FUZZ
    @given(headers=st.dictionaries(names, st.text(max_size=80), max_size=3), body=st.binary())
    def present(headers: dict[str, str], body: bytes) -> None:
        sent = {
            name: text.encode("utf-8", "replace").decode("latin-1")
            for name, text in headers.items()
        }
        answer = knock(body, **sent)
        assert answer.status_code in {400, 401}, (sent, answer.content[:300])
        assert json.loads(answer.content)["error"]["code"]

    present()
