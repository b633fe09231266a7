"""People who approve at the same moment do what was asked for once; without the locks they would not."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from attribution.approvals import decisions
from attribution.approvals.decisions import KINDS, AlreadyDecidedError, Kind, Subject
from attribution.approvals.models import ApprovalRequest
from attribution.audit.trail import Actor
from attribution.isolation.transaction import tenant
from attribution.tenancy import policy
from tests.factories import make_organization, make_user

APPROVERS = 4


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """Count what is done for a kind of request that takes its time."""
    found: list[UUID] = []

    def apply(asked: ApprovalRequest, by: Actor, at: datetime) -> None:
        time.sleep(0.3)
        found.append(asked.pk)

    monkeypatch.setitem(KINDS, "test.slow", Kind("slow", lambda asked: [], apply))
    return found


def at_once() -> int:
    """Let several people approve one request at the same moment; return how many succeed."""
    organization = make_organization()
    people = [make_user() for _ in range(APPROVERS + 1)]
    with tenant(organization.pk):
        by = Actor("user", people[-1].pk)
        subject = Subject("7", "Marketing")
        asked = decisions.ask("test.slow", subject, payload={}, reason="", by=by, at=timezone.now())
    start = Barrier(APPROVERS)

    def approve(person_id: UUID) -> int:
        start.wait()
        try:
            with tenant(organization.pk):
                decisions.approve(asked, by=Actor("user", person_id), at=timezone.now())
        except AlreadyDecidedError:
            return 0
        finally:
            connections.close_all()
        return 1

    with ThreadPoolExecutor(APPROVERS) as pool:
        return sum(pool.map(approve, [person.pk for person in people[:-1]]))


def test_one_of_many_who_approve_at_once_does_it(committed: None, done: list[UUID]) -> None:
    succeeded = at_once()

    assert (succeeded, len(done)) == (1, 1)


def test_without_the_locks_it_is_done_more_than_once(
    committed: None, done: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "changed", lambda organization_id: 0)
    monkeypatch.setattr(
        decisions, "_waiting", lambda asked: ApprovalRequest.objects.get(pk=asked.pk)
    )

    at_once()

    assert len(done) > 1
