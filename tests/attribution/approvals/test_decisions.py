"""A request is decided once, by another person than the one who asked, and done as asked."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from attribution.approvals import decisions
from attribution.approvals.decisions import KINDS, Kind, Subject
from attribution.approvals.models import ApprovalRequest, Decision
from attribution.audit import trail
from attribution.audit.trail import SYSTEM, Actor
from attribution.isolation.transaction import tenant
from tests.cast import Cast

DONE: list[dict[str, str]] = []


@pytest.fixture
def here(ours: Cast) -> Iterator[Cast]:
    """Serve our organization, which may ask for a thing that only takes note."""
    DONE.clear()
    KINDS["test.thing"] = Kind("thing", lambda asked: [], _note)
    with tenant(ours.organization.pk):
        yield ours
    del KINDS["test.thing"]


def _note(asked: ApprovalRequest, by: Actor, at: datetime) -> None:
    DONE.append(asked.payload)


def person(cast: Cast, role: str) -> Actor:
    """Return somebody of ours as an actor."""
    return Actor("user", cast.person(role).pk)


def asked(cast: Cast, *, role: str = "finance", subject: str = "7") -> ApprovalRequest:
    """Ask for something."""
    return decisions.ask(
        "test.thing",
        Subject(subject, "Marketing"),
        payload={"amount": "500"},
        reason="a campaign",
        by=person(cast, role),
        at=timezone.now(),
    )


def test_what_another_person_approves_is_done_once_as_asked(here: Cast) -> None:
    request = asked(here)

    decisions.approve(request, by=person(here, "owner"), at=timezone.now(), note="fine")

    with pytest.raises(decisions.AlreadyDecidedError):
        decisions.approve(request, by=person(here, "owner"), at=timezone.now())
    request.refresh_from_db()
    assert DONE == [{"amount": "500"}]
    assert (request.decision, request.note) == (Decision.APPROVED, "fine")
    assert [entry.action for entry in trail.history(request)] == [
        "approval.approved",
        "approval.requested",
    ]


def test_a_rejected_request_does_nothing(here: Cast) -> None:
    request = asked(here)

    decisions.reject(request, by=person(here, "owner"), at=timezone.now(), note="too much")

    assert DONE == []
    with pytest.raises(decisions.AlreadyDecidedError):
        decisions.approve(request, by=person(here, "owner"), at=timezone.now())


@pytest.mark.parametrize("verb", [decisions.approve, decisions.reject])
def test_nobody_decides_about_what_they_asked_for(here: Cast, verb: object) -> None:
    request = asked(here)

    assert callable(verb)
    with pytest.raises(decisions.OwnRequestError):
        verb(request, by=person(here, "finance"), at=timezone.now())
    assert DONE == []


def test_the_database_refuses_the_same_person_where_python_would_not(here: Cast) -> None:
    request = asked(here)
    decided = {"decision": "approved", "decided_at": timezone.now()}

    with pytest.raises(IntegrityError, match="second_person"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(
            decided_by=request.requested_by_id, **decided
        )
    with pytest.raises(IntegrityError, match="second_person"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(**decided)


def test_what_was_asked_for_cannot_be_changed(here: Cast) -> None:
    request = asked(here)

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(payload={"amount": "9000"})


def test_a_payload_that_differs_from_its_digest_is_not_applied(here: Cast) -> None:
    request = asked(here)
    ApprovalRequest.objects.bulk_create(
        [
            ApprovalRequest(
                kind="test.thing",
                subject_id="8",
                subject_name="Sales",
                payload={"amount": "9000"},
                payload_digest=request.payload_digest,
                requested_by=request.requested_by,
            )
        ]
    )
    forged = ApprovalRequest.objects.get(subject_id="8")

    with pytest.raises(decisions.AlteredRequestError):
        decisions.approve(forged, by=person(here, "owner"), at=timezone.now())
    assert DONE == []


def test_one_thing_is_asked_for_once_at_a_time(here: Cast) -> None:
    first = asked(here)

    with pytest.raises(decisions.AlreadyWaitingError):
        asked(here, role="owner")
    asked(here, subject="8")
    decisions.withdraw(first, by=person(here, "finance"), at=timezone.now())
    asked(here, role="owner")

    assert len(decisions.waiting_for("7")) == 1


def test_only_who_asked_withdraws(here: Cast) -> None:
    request = asked(here)

    with pytest.raises(decisions.OwnRequestError):
        decisions.withdraw(request, by=person(here, "owner"), at=timezone.now())
    decisions.withdraw(request, by=person(here, "finance"), at=timezone.now())

    request.refresh_from_db()
    assert request.decision == Decision.WITHDRAWN


def test_a_command_asks_for_nothing(here: Cast) -> None:
    with pytest.raises(decisions.OwnRequestError):
        decisions.ask(
            "test.thing",
            Subject("7", "Marketing"),
            payload={},
            reason="",
            by=SYSTEM,
            at=timezone.now(),
        )


def test_the_office_and_the_named_approver_may_decide_and_nobody_else(here: Cast) -> None:
    request = asked(here)
    manager = here.person("manager")

    assert decisions.may_decide(request, person_id=here.person("owner").pk, role="owner")
    assert not decisions.may_decide(request, person_id=here.person("finance").pk, role="finance")
    assert not decisions.may_decide(request, person_id=manager.pk, role="manager")
    request.approver_id = manager.pk
    assert decisions.may_decide(request, person_id=manager.pk, role="manager")
