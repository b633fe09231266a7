"""Health and readiness of the web role, and the verdict that every role gives."""

import pytest
from django.test import Client

from gateway.workers.readiness import Facts, verdict

READY = Facts(is_reachable=True, off=[], is_ahead=True, is_draining=False, commit_ms=1.234)


def test_a_process_is_ready_when_nothing_is_wrong() -> None:
    status, body = verdict(READY)

    assert (status, body["status"], body["commit_ms"]) == (200, "ready", "1.23")


@pytest.mark.parametrize(
    ("facts", "check"),
    [
        (Facts(False, [], True, False, None), "database"),  # noqa: FBT003
        (Facts(True, ["fsync"], True, False, None), "durability"),  # noqa: FBT003
        (Facts(True, [], False, False, None), "partitions"),  # noqa: FBT003
        (Facts(True, [], True, True, None), "not_draining"),  # noqa: FBT003
    ],
)
def test_one_failed_check_makes_it_not_ready(facts: Facts, check: str) -> None:
    status, body = verdict(facts)

    assert status == 503
    assert not body["checks"][check]


@pytest.mark.django_db
def test_the_web_role_answers_for_itself(client: Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/health/ready").json()["checks"]["database"]
    assert client.get("/metrics").status_code == 200
