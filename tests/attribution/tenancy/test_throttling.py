"""How often a key may ask the JSON API."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from django.conf import LazySettings
from django.test import Client

from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy import throttling
from attribution.tenancy.program import Program
from gateway.keys import keyring
from tests.cast import Cast

AT = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture
def program(ours: Cast) -> Client:
    """Give a program of ours that may ask three times a minute."""
    with tenant(ours.organization.pk):
        _, text = keyring.issue("asks", by=SYSTEM)
    return Client(headers={"Authorization": f"Bearer {text}"})


def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    program: Client, settings: LazySettings
) -> None:
    settings.TOLLKEEPER_API_REQUESTS_PER_MINUTE = 3
    with time_machine.travel(AT, tick=False):
        answers = [program.get("/costs/summary") for _ in range(3)]
        answers.append(program.get("/v1/analytics/costs"))

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "rate_limited"
    assert answers[-1]["Retry-After"] == "60"
    left = [answer["X-RateLimit-Remaining-Requests"] for answer in answers]
    assert left == ["2", "1", "0", "0"]
    assert {answer["X-RateLimit-Limit-Requests"] for answer in answers} == {"3"}


def test_reports_of_calls_are_counted_too(program: Client, settings: LazySettings) -> None:
    settings.TOLLKEEPER_API_REQUESTS_PER_MINUTE = 1
    with time_machine.travel(AT, tick=False):
        first = program.post("/v1/usage", {}, "application/json")
        second = program.post("/v1/usage", {}, "application/json")

    assert [first.status_code, second.status_code] == [400, 429]


def test_people_and_a_limit_of_nothing_are_not_counted(
    ours: Cast, program: Client, settings: LazySettings
) -> None:
    settings.TOLLKEEPER_API_REQUESTS_PER_MINUTE = 1
    browser = ours.browser("finance")
    assert [browser.get("/costs/summary").status_code for _ in range(3)] == [200] * 3

    settings.TOLLKEEPER_API_REQUESTS_PER_MINUTE = 0
    assert [program.get("/costs/summary").status_code for _ in range(3)] == [200] * 3


def test_the_minute_slides_and_refused_requests_count_nothing() -> None:
    one, other = (Program(uuid4(), uuid4(), "p") for _ in range(2))
    end_of_minute = AT + timedelta(seconds=59)

    def used(at: datetime, who: Program = one) -> int:
        return throttling.counted(who, 4, at)[0]

    assert [used(end_of_minute) for _ in range(6)] == [1, 2, 3, 4, 5, 5]
    assert used(AT + timedelta(minutes=1)) == 5
    assert used(AT + timedelta(seconds=90)) == 3
    assert used(AT + timedelta(seconds=90), other) == 1
    assert used(AT + timedelta(minutes=3)) == 1


def test_without_valkey_a_process_counts_alone(
    program: Client, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TOLLKEEPER_API_REQUESTS_PER_MINUTE = 1
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
    settings.CACHES = {
        **settings.CACHES,
        "away": {**away, "LOCATION": "redis://127.0.0.1:1/0"},
    }
    monkeypatch.setattr(throttling, "SHARED", "away")
    with time_machine.travel(AT, tick=False):
        assert [program.get("/costs/summary").status_code for _ in range(2)] == [200, 429]
