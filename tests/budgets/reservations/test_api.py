"""`POST /v1/usage`: calls made elsewhere, told over HTTP; once for ever, whole or not at all."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.ledger.models import LedgerEntry
from attribution.usage.models import UsageRecord
from budgets.limits.models import BudgetPeriod
from budgets.reservations import books
from gateway.keys import keyring
from tests.cast import Cast
from tests.factories import make_budget, make_cost_center, make_price

PATH = "/v1/usage"
Post = Callable[..., HttpResponse]


@pytest.fixture
def post(ours: Cast) -> Post:
    """Give a way to report to our organization, where model m costs 2 USD per million tokens."""
    with tenant(ours.organization.pk):
        make_price(
            model="m",
            rates={"base": {"input": "2", "output": "2"}},
            effective_from=timezone.now() - timedelta(days=80),
        )
    return reporter(ours)


def reporter(cast: Cast, **key: Any) -> Post:
    """Return a way to report with a key of an organization."""
    with tenant(cast.organization.pk):
        _key, token = keyring.issue("reporter", by=SYSTEM, fields=key)

    def send(body: Any, **headers: str) -> HttpResponse:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {"Authorization": f"Bearer {token}", **headers}
        return Client().post(PATH, text, content_type="application/json", headers=headers)  # type: ignore[return-value]  # the test client's response is one

    return send


def event(event_id: str = "1", **fields: Any) -> dict[str, Any]:
    """Return an event of 1,500 tokens."""
    at = (timezone.now() - timedelta(minutes=5)).isoformat()
    told = {"source": "sdk", "event_id": event_id, "occurred_at": at, "model": "m"}
    return {**told, "provider": "openai", "usage": {"input": 1000, "output": 500}, **fields}


def result(answer: HttpResponse) -> dict[str, Any]:
    """Return what became of the only event."""
    (one,) = json.loads(answer.content)["events"]
    assert isinstance(one, dict)
    return one


def error_of(answer: Any) -> str:
    """Return the code for which a whole request was refused."""
    return str(json.loads(answer.content)["error"]["code"])


def test_a_reported_call_is_priced_by_us_and_booked(ours: Cast, post: Post) -> None:
    answer = post(event(cost_center="OURS-CC", user_id="ada", feature="search", latency_ms=812))

    one = result(answer)
    assert (answer.status_code, one["result"], one["cost_usd"]) == (202, "recorded", "0.003")
    with tenant(ours.organization.pk):
        call = UsageRecord.objects.get(pk=UUID(one["call_id"]))
        assert (call.cost, call.user_id, call.feature) == (Decimal("0.003"), "ada", "search")
        assert (call.cost_center_id, call.total_ms) == (ours.cost_center.pk, 812)
        assert (call.source, call.api_key_name) == ("sdk", "reporter")
        assert not books.verify()


def test_the_same_event_again_answers_200_and_names_the_first_call(ours: Cast, post: Post) -> None:
    first = result(post(event()))

    again = post(event())
    mixed = post({"events": [event(), event("2")]})

    assert (again.status_code, result(again)["result"]) == (200, "duplicate")
    assert result(again)["call_id"] == first["call_id"]
    told = json.loads(mixed.content)
    assert mixed.status_code == 202
    assert [one["result"] for one in told["events"]] == ["duplicate", "recorded"]
    assert (told["recorded"], told["duplicate"], told["rejected"]) == (1, 1, 0)
    with tenant(ours.organization.pk):
        assert UsageRecord.objects.filter(source="sdk").count() == 2


def test_a_bad_event_is_named_and_the_others_are_recorded(post: Post) -> None:
    bad = [
        event("a", usage={"prompt_tokens": 5}),
        event("b", cost_center="NOWHERE"),
        event("c", occurred_at="yesterday"),
        event("d", cost_usd="-1"),
        event("e", usage=None),
        event("f", surprise=1),
        event("g", source="gateway"),
        event("h", occurred_at=(timezone.now() - timedelta(days=400)).isoformat()),
        event("i", occurred_at=(timezone.now() + timedelta(hours=1)).isoformat()),
        event("j", cost_usd="200000"),
        event("k\u0000"),
        "no object",
        event("m", usage={"input": True}),
        event("n", tags=[]),
        event("o", usage={"input": 10**10}),
        event("p", cost_usd="1e999999"),
    ]

    answer = post({"events": [*bad, event("good")]})

    told = json.loads(answer.content)
    assert (answer.status_code, told["recorded"], told["rejected"]) == (202, 1, len(bad))
    found = [(one["error"]["code"], one["error"].get("param")) for one in told["events"][:-1]]
    assert found == [
        ("invalid_request", "usage.prompt_tokens"),
        ("unknown_cost_center", "cost_center"),
        ("invalid_request", "occurred_at"),
        ("invalid_amount", "cost_usd"),
        ("invalid_request", "usage"),
        ("invalid_request", "surprise"),
        ("invalid_request", "source"),
        ("too_old", "occurred_at"),
        ("in_the_future", "occurred_at"),
        ("cost_too_large", "cost_usd"),
        ("invalid_request", "event_id"),
        ("invalid_request", None),
        ("invalid_request", "usage.input"),
        ("invalid_request", "tags"),
        ("invalid_request", "usage.input"),
        ("invalid_amount", "cost_usd"),
    ]


def test_nothing_accepted_is_no_success(post: Post) -> None:
    answer = post({"events": [event(model="")]})

    assert (answer.status_code, result(answer)["error"]["param"]) == (422, "model")


def test_an_unknown_model_is_recorded_without_a_cost_and_a_stated_cost_wins(
    ours: Cast, post: Post
) -> None:
    answer = post({"events": [event("1", model="nobody-knows"), event("2", cost_usd=0.07)]})

    unknown, stated = json.loads(answer.content)["events"]
    assert (unknown["result"], unknown["cost_usd"]) == ("recorded", None)
    assert stated["cost_usd"] == "0.07"
    with tenant(ours.organization.pk):
        call = UsageRecord.objects.get(pk=UUID(stated["call_id"]))
        assert (call.cost, call.cost_source) == (Decimal("0.07"), "provider")


def test_a_pinned_key_reports_for_its_own_cost_center_only(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        other = make_cost_center(code="OTHER")
    send = reporter(ours, cost_center=ours.cost_center, is_cost_center_pinned=True)

    answer = send({"events": [event("1", cost_center=other.code), event("2")]})

    refused, booked = json.loads(answer.content)["events"]
    assert refused["error"]["code"] == "attribution_not_allowed"
    assert refused["error"]["param"] == "cost_center"
    with tenant(ours.organization.pk):
        call = UsageRecord.objects.get(pk=UUID(booked["call_id"]))
        assert call.cost_center_id == ours.cost_center.pk


def test_a_reported_call_counts_in_the_budget_of_its_key(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        key, token = keyring.issue("counted", by=SYSTEM)
        make_budget(scope="api_key", scope_id=key.pk, limit="1", name="of the key")

    Client().post(
        PATH,
        json.dumps(event(cost_usd="0.25")),
        content_type="application/json",
        headers={"x-api-key": token},
    )

    with tenant(ours.organization.pk):
        assert BudgetPeriod.objects.get(budget__name="of the key").spent == Decimal("0.25")


def test_a_batch_is_whole_or_not_at_all(
    ours: Cast, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_answers: object) -> None:
        raise RuntimeError("after the database was asked, before the commit")

    with monkeypatch.context() as patch:
        patch.setattr("budgets.reservations.ingest._recorded", broken)
        with pytest.raises(RuntimeError):
            post({"events": [event("1"), event("2")]})

    with tenant(ours.organization.pk):
        assert not UsageRecord.objects.filter(source="sdk").exists()
        assert not LedgerEntry.objects.filter(usd_amount=Decimal("0.002")).exists()
    assert json.loads(post({"events": [event("1"), event("2")]}).content)["recorded"] == 2


def test_only_keys_may_report_and_only_those_with_the_scope(ours: Cast) -> None:
    body, kind = json.dumps(event()), "application/json"

    nobody = Client().post(PATH, body, content_type=kind)
    person = ours.browser("owner").post(PATH, body, content_type=kind)
    wrong = Client().post(PATH, body, content_type=kind, headers={"x-api-key": "tk_live_x"})
    two = Client().post(
        PATH, body, content_type=kind, headers={"x-api-key": "a", "Authorization": "Bearer b"}
    )
    caller = reporter(ours, scopes=["call"])(event())

    assert [(one.status_code, error_of(one)) for one in (nobody, person, wrong)] == [
        (401, "invalid_api_key"),
        (401, "invalid_api_key"),
        (401, "invalid_api_key"),
    ]
    assert (two.status_code, error_of(two)) == (400, "conflicting_credentials")
    assert (caller.status_code, error_of(caller)) == (403, "scope_not_allowed")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "invalid_request"),
        ("{", "invalid_request"),
        (b"\xff", "invalid_request"),
        ("[]", "invalid_request"),
        ("null", "invalid_request"),
        ('{"events": {}}', "invalid_request"),
        ('{"events": []}', "invalid_request"),
        ('{"events": [], "more": 1}', "invalid_request"),
        ('{"a": 1, "a": 2}', "invalid_request"),
        ('{"a": NaN}', "invalid_request"),
        ('{"a": 1e99999999999}', "invalid_request"),
        ('{"a": 99999999999999999999}', "invalid_request"),
        ('{"a": "\\ud800"}', "invalid_request"),
        ("[" * 100_000, "invalid_request"),
        ('{"a":' * 65 + "1" + "}" * 65, "invalid_request"),
        (json.dumps({"events": [1] * 10_001}), "invalid_request"),
        (" " * ((10 << 20) + 1), "body_too_large"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_body_that_is_none_is_refused_whole(post: Post, body: str | bytes, code: str) -> None:
    answer = post(body)

    assert (answer.status_code, error_of(answer)) == (
        413 if code == "body_too_large" else 400,
        code,
    )


def test_a_compressed_body_is_refused(post: Post) -> None:
    answer = post(event(), **{"Content-Encoding": "gzip"})

    assert (answer.status_code, error_of(answer)) == (415, "unsupported_encoding")


def test_other_methods_are_refused(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        _key, token = keyring.issue("any", by=SYSTEM)
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = Client().generic(method, PATH, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, error_of(answer)) == (405, "method_not_allowed")
