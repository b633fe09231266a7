"""The audit trail: only added to, sealed in a chain, and telling when it was altered."""

import os
from collections.abc import Iterator
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, transaction

from attribution.audit import trail
from attribution.audit.models import AuditEntry, AuditSeal
from attribution.audit.trail import SYSTEM
from attribution.isolation.transaction import tenant
from attribution.tenancy.models import Organization
from tests.cast import Cast
from tests.factories import make_key, make_organization, make_user


def test_an_entry_keeps_what_changed(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        before = trail.snapshot(ours.cost_center)
        ours.cost_center.name = "New"

        after = trail.snapshot(ours.cost_center)
        entry = trail.append("x", by=SYSTEM, on=ours.cost_center, before=before, after=after)

    assert entry.changes == {"name": ["OURS cost center", "New"]}
    assert entry.before_hash != entry.after_hash


def test_no_secret_is_kept(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        key = make_key()

    assert trail.snapshot(key)["secret_hash"] == "set"
    password = trail.snapshot(make_user())["password"]
    assert password == "set"


def test_sealing_twice_seals_once(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        entries = AuditEntry.objects.count()

        assert (trail.seal(), trail.seal()) == (entries, 0)
        assert trail.verify() is None
        assert trail.anchor()[0] == entries


def test_the_chain_continues(ours: Cast) -> None:
    with tenant(ours.organization.pk):
        trail.seal()
        seq, last = trail.anchor()
        trail.append("x", by=SYSTEM, on=ours.budget)

        trail.seal()

        newest = AuditSeal.objects.latest("seq")
        assert (newest.seq, newest.prev_hash) == (seq + 1, last)
        assert trail.verify() is None


@pytest.mark.parametrize("alter", ["update", "delete"])
def test_the_application_cannot_alter_it(ours: Cast, alter: str) -> None:
    with tenant(ours.organization.pk):
        entries = AuditEntry.objects.all()
        with pytest.raises(ProgrammingError), transaction.atomic():
            entries.update(action="y") if alter == "update" else entries.delete()


@pytest.fixture
def tampered(committed: None) -> Iterator[Organization]:
    """Give an organization whose trail a superuser of the table altered, past the triggers."""
    organization = make_organization()
    with tenant(organization.pk):
        for action in ("first", "second", "third"):
            trail.append(action, by=SYSTEM, on=organization)
        trail.seal()
        second = AuditEntry.objects.get(action="second")
    with psycopg.connect(os.environ["OWNER_DATABASE_URL"]) as owner:
        owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
        owner.execute("SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)])
        owner.execute("UPDATE audit_entry SET ip = '10.0.0.1' WHERE id = %s", [second.pk])
        owner.execute("ALTER TABLE audit_entry ENABLE TRIGGER USER")
    yield organization
    with tenant(organization.pk):
        organization.is_active = False
        organization.save()


def test_the_first_altered_row_is_named(tampered: Organization) -> None:
    with tenant(tampered.pk):
        fault = trail.verify()

    assert fault is not None
    assert (fault.seq, fault.reason) == (2, "the entry was altered")


def test_the_command_fails_on_an_altered_trail(tampered: Organization) -> None:
    errors = StringIO()

    with pytest.raises(CommandError):
        call_command("verify_audit", stdout=StringIO(), stderr=errors)

    assert str(tampered.pk) in errors.getvalue()
